"""`neuron_groups`: the neurons of a Keras model, layer by layer, with what selection needs to know of them.

>>> import keras
>>> from keras import layers
>>> model = keras.Sequential([keras.Input((8, 8, 3)), layers.Conv2D(4, 3), layers.Flatten(), layers.Dense(2)])
>>> [(group.channels, group.weights_per_channel, group.head) for group in neuron_groups(model)]
[(4, 27, False), (2, 144, True)]
"""

from __future__ import annotations

import dataclasses
import functools
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import keras
import tensorflow as tf
from absl import logging

from tfodl.errors import TfodlError
from tfodl.plan import LayerUpdate, UpdatePlan
from tfodl.selective.intercept import intercept
from tfodl.selective.sites import Adapter, Kind, Run, Site, adapters, calls


@dataclass(frozen=True)
class NeuronGroup:
    """The neurons of one weight tensor.

    layer: path of the layer, as `LayerUpdate.name` has it; kind: what the layer is.
    axis: along which channels are chosen, `"out"` or `"in"`; channels: how many there are.
    weight_shape: Keras layout, conv `[kh, kw, C_in, C_out]`, depthwise `[kh, kw, C_in, multiplier]`,
        dense `[C_in, units]`, batch norm `[C]`.
    saved_activation_shape: the input that the weight's gradient needs, without the batch axis.
    output_shape: of one call, without the batch axis.
    bias: whether the layer has one (for batch norm: beta beside gamma).
    macs: multiply-accumulates of the forward pass of one sample, all calls together.
    parents: groups whose outputs reach this group's input with no other group between.
    batchnorm: the batch norm that directly and alone reads this group's output.
    head: the classifier, which trains outside the budget.
    """

    layer: str
    kind: Kind
    axis: Literal["out", "in"]
    channels: int
    weight_shape: tuple[int, ...]
    saved_activation_shape: tuple[int, ...]
    output_shape: tuple[int, ...]
    bias: bool = False
    macs: int = 0
    parents: tuple[str, ...] = ()
    batchnorm: str | None = None
    head: bool = False

    @property
    def channels_out(self) -> int:
        return math.prod(self.weight_shape[-2:]) if self.kind == "depthwise" else self.weight_shape[-1]

    @property
    def weights(self) -> int:
        """Parameters of the weight, bias apart."""
        return math.prod(self.weight_shape)

    @property
    def weights_per_channel(self) -> int:
        """Parameters of one neuron, its bias apart: kh·kw·C_in of a conv, kh·kw of a depthwise filter."""
        return self.weights // self.channels

    @property
    def selectable(self) -> bool:
        """Whether a budget is spent on it: neither head nor batch norm."""
        return not self.head and self.kind != "batchnorm"

    def length(self, axis: str) -> int:
        """Channels along `axis`. Raises `TfodlError` where the layer has no such axis."""
        if axis == "out":
            return self.channels_out
        if not self.has_inputs:
            raise TfodlError(
                f"Layer {self.layer!r} ({self.kind}) has no input channels of its own; use 'out'."
            )
        return self.weight_shape[-2]

    @property
    def has_inputs(self) -> bool:
        """Whether input channels can be chosen: an ungrouped convolution or a dense layer."""
        return self.kind in ("conv", "dense") and self.saved_activation_shape[-1:] == self.weight_shape[-2:-1]


def neuron_groups(model: keras.Model, axis: Literal["out", "in"] = "out") -> tuple[NeuronGroup, ...]:
    """Every trainable Conv2D, DepthwiseConv2D, SeparableConv2D, Dense and BatchNormalization, in call order.

    Nested models are opened (`"backbone/conv_1"`). Layers with `trainable = False` are left out; other layers
    with weights stay frozen and are named in one warning. With `axis="in"` conv and dense groups count input
    channels; depthwise filters and batch norm stay as they are.

    Raises `TfodlError` for a model without weights, without known input sizes, or without any such layer.
    """
    model = getattr(model, "selective_base", model)
    found, others = adapters(model)
    if others:
        _name_frozen(", ".join(others))
    return groups_of(model, found, axis)


@functools.cache
def _name_frozen(layers: str) -> None:
    """One warning for a model, however often it is looked at."""
    logging.warning("tfodl: these layers stay frozen: %s", layers)


def groups_of(
    model: keras.Model, found: dict[keras.layers.Layer, Adapter], axis: Literal["out", "in"] = "out"
) -> tuple[NeuronGroup, ...]:
    """`neuron_groups` of adapters that are already known."""
    trace = _Trace()
    with intercept(calls(trace, found)):
        tf.function(lambda x: model(x, training=False)).get_concrete_function(input_spec(model))
    if not trace.rows:
        raise TfodlError(f"Model {model.name!r} has no trainable convolution, dense or batch-norm layer.")
    groups = trace.groups()
    head = _head(groups)
    norms = trace.norms()
    return tuple(
        dataclasses.replace(_along(g, axis), head=g.layer == head, batchnorm=norms.get(g.layer))
        for g in groups
    )


def check_plan(plan: UpdatePlan, groups: Sequence[NeuronGroup]) -> None:
    """Raises `TfodlError` when `plan` names a layer or a channel that `groups` lack.

    In the entry of a batch norm, `channels` are the trained gammas and betas; bias `"all"` means that it runs
    on batch statistics and updates its averages, `"selected"` or `"none"` that it runs on its averages.
    """
    known = {group.layer: group for group in groups}
    for entry in plan.layers:
        if entry.name not in known:
            raise TfodlError(
                f"UpdatePlan: layer {entry.name!r} is not in this model; it has {_some(sorted(known))}."
            )
        length = known[entry.name].length(entry.axis)
        if entry.channels and entry.channels[-1] >= length:
            raise TfodlError(
                f"UpdatePlan: layer {entry.name!r} has channels 0..{length - 1} along axis {entry.axis!r}, "
                f"got {entry.channels[-1]}."
            )
        lacks_bias = not known[entry.name].bias and known[entry.name].kind != "batchnorm"
        if entry.bias != "none" and lacks_bias and entry.channels == ():
            raise TfodlError(
                f"UpdatePlan: layer {entry.name!r} trains only its bias but has none; "
                "drop the entry or list channels."
            )


def whole(group: NeuronGroup) -> LayerUpdate:
    """The entry that trains all of a group (a batch norm: with batch statistics, as Keras trains it)."""
    bias: Literal["none", "all"] = "all" if group.bias or group.kind == "batchnorm" else "none"
    return LayerUpdate(group.layer, "out", tuple(range(group.channels_out)), bias)


def _some(names: Sequence[str], most: int = 8) -> str:
    return ", ".join(names[:most]) + (f" and {len(names) - most} more" if len(names) > most else "")


def input_spec(model: keras.Model) -> Any:
    """A `tf.TensorSpec` of each input, in the structure that the model takes. Raises `TfodlError` where sizes
    are not known."""
    listed = getattr(model, "inputs", None)
    inputs = getattr(model, "input", listed[0] if listed and len(listed) == 1 else listed)
    if not listed:
        raise TfodlError(
            f"Model {model.name!r}: input shapes are unknown; wrap it: "
            "inputs = keras.Input(shape); keras.Model(inputs, model(inputs))."
        )
    for tensor in keras.tree.flatten(inputs):
        if None in tensor.shape[1:]:
            raise TfodlError(
                f"Model {model.name!r}: input {tensor.name!r} has shape {tuple(tensor.shape)}; "
                "only the batch size may be open. Build the model for one picture size."
            )
    return keras.tree.map_structure(lambda t: tf.TensorSpec(t.shape, t.dtype), inputs)


def _along(group: NeuronGroup, axis: Literal["out", "in"]) -> NeuronGroup:
    if axis == "out" or not group.has_inputs:
        return group
    return dataclasses.replace(group, axis="in", channels=group.length("in"))


def _head(groups: Sequence[NeuronGroup]) -> str | None:
    dense = [group.layer for group in groups if group.kind == "dense"]
    linear = [group.layer for group in groups if group.kind in ("conv", "dense")]
    return next(reversed(dense or linear), None)


class _Trace(Run):
    """Records shapes and the graph of groups while the model is traced."""

    def __init__(self) -> None:
        self.rows: dict[Site, list[tuple[Any, Any]]] = {}

    def output(self, site: Site, x: Any, y: Any) -> Any:
        self.rows.setdefault(site, []).append((x, y))
        return y

    def groups(self) -> list[NeuronGroup]:
        owner = {y.ref(): site.name for site, rows in self.rows.items() for _, y in rows}
        return [_group(site, rows, _parents([x for x, _ in rows], owner)) for site, rows in self.rows.items()]

    def norms(self) -> dict[str, str]:
        """Batch norm by the site that it follows, where nothing else reads that site's output."""
        once = {site: rows[0] for site, rows in self.rows.items() if len(rows) == 1}
        owner = {y.ref(): site for site, (_, y) in once.items() if site.kind != "batchnorm"}
        return {
            owner[x.ref()].name: site.name
            for site, (x, _) in once.items()
            if site.kind == "batchnorm" and x.ref() in owner and len(x.consumers()) == 1
        }


def _group(site: Site, rows: list[tuple[Any, Any]], parents: tuple[str, ...]) -> NeuronGroup:
    x, y = rows[0]
    weight = tuple(int(n) for n in site.weight.shape)
    group = NeuronGroup(
        layer=site.name,
        kind=site.kind,
        axis="out",
        channels=site.channels_out,
        weight_shape=weight,
        saved_activation_shape=tuple(int(n) for n in x.shape[1:]),
        output_shape=tuple(int(n) for n in y.shape[1:]),
        bias=site.bias is not None and site.kernel is not None,
        parents=parents,
    )
    positions = sum(math.prod(int(n) for n in y.shape[1:-1]) for _, y in rows)
    macs = 0 if site.kind == "batchnorm" else positions * group.weights
    return dataclasses.replace(group, macs=macs)


def _parents(inputs: list[Any], owner: dict[Any, str]) -> tuple[str, ...]:
    """Owners met first when walking back from `inputs` through the graph."""
    found: dict[str, None] = {}
    seen: set[Any] = set()
    todo = list(inputs)
    while todo:
        tensor = todo.pop()
        if tensor.ref() in seen:
            continue
        seen.add(tensor.ref())
        if tensor.ref() in owner:
            found[owner[tensor.ref()]] = None
        else:
            todo.extend(tensor.op.inputs)
    return tuple(sorted(found))
