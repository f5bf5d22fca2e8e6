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
from typing import Any, Literal

import keras
import tensorflow as tf
from absl import logging

from tflm_export.errors import TfodlError
from tfodl.neurons.group import NeuronGroup
from tfodl.neurons.intercept import intercept
from tfodl.neurons.sites import Adapter, Run, Site, adapters, calls


def neuron_groups(model: keras.Model, axis: Literal["out", "in"] = "out") -> tuple[NeuronGroup, ...]:
    """Every trainable Conv2D, DepthwiseConv2D, SeparableConv2D, the same of one dimension, Dense and
    BatchNormalization, in call order.

    Nested models are opened (`"backbone/conv_1"`). Layers with `trainable = False` are left out; other layers
    with weights stay frozen and are named in one warning. With `axis="in"` conv and dense groups count input
    channels; depthwise filters and batch norm stay as they are.

    Raises `TfodlError` for a model without weights, without known input sizes, or without any such layer.
    """
    if hasattr(model, "selective_base"):  # it looked when it was made
        return tuple(_along(group, axis) for group in model.groups)
    return groups_of(model, known_layers(model), axis)


def known_layers(model: keras.Model) -> dict[keras.layers.Layer, Adapter]:
    """The layers that can train and how; the others with weights are named in one warning."""
    found, others = adapters(model)
    if others:
        _name_frozen(", ".join(others))
    return found


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
        forward = tf.function(lambda x: model(x, training=False), autograph=False)
        forward.get_concrete_function(input_spec(model))
    if not trace.rows:
        raise TfodlError(f"Model {model.name!r} has no trainable convolution, dense or batch-norm layer.")
    groups = trace.groups()
    head = _head(groups)
    norms = trace.norms()
    return tuple(
        dataclasses.replace(_along(g, axis), head=g.layer == head, batchnorm=norms.get(g.layer))
        for g in groups
    )


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
