"""`NeuronGroup`: the neurons of one weight tensor, and whether a plan fits them. Knows no Keras."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from tflm_export.errors import TfodlError
from tflm_export.plan import LayerUpdate, UpdatePlan

Kind = Literal["conv", "depthwise", "dense", "batchnorm", "custom"]


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
