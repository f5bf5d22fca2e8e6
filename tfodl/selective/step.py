"""`Step`: what one traced training step may train, and a layer's forward pass under it.

A step is traced once for a `Step` and serves every plan that trains in no other place; which channels of a
layer train is data (`Masks`). So a new plan costs nothing unless it opens another layer (`reuse`).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any, Literal

import keras
import tensorflow as tf

from tflm_export.plan import LayerUpdate, UpdatePlan
from tfodl.neurons.group import NeuronGroup
from tfodl.neurons.sites import Run, Site
from tfodl.selective import norms, slices

Weight = Literal["frozen", "out", "in", "masked_out", "masked_in", "whole"]
Bias = Literal["frozen", "masked", "whole"]

# Above this share of channels the whole dW is cheaper than gathering channels (measured on MobileNetV2 0.35).
# With axis "in" gathering also frees the rest of the input, so a 1x1 layer goes as far as a wide one.
GATHER_SHARE, GATHER_SHARE_POINTWISE = 0.5, 0.06


@dataclass(frozen=True)
class Part:
    """How one site trains: its weight, its bias, and (batch norm) whether batch statistics are used."""

    weight: Weight = "frozen"
    bias: Bias = "frozen"
    statistics: bool = False


@dataclass(frozen=True)
class Step:
    """Structure of a training step: a `Part` for each site that trains."""

    parts: tuple[tuple[str, Part], ...]

    def part(self, name: str) -> Part:
        return dict(self.parts).get(name, Part())


def step_of(plan: UpdatePlan, groups: Mapping[str, NeuronGroup]) -> Step:
    """The structure that `plan` needs."""
    parts = {entry.name: _part(entry, groups[entry.name]) for entry in plan.layers}
    if plan.head:
        parts |= {name: Part("whole", "whole") for name, group in groups.items() if group.head}
    return Step(tuple(sorted((name, part) for name, part in parts.items() if part != Part())))


def masked_step(plan: UpdatePlan, groups: Mapping[str, NeuronGroup]) -> Step:
    """The structure in which masks alone say which of the channels that `plan` trains do."""
    bias = {"none": "frozen", "selected": "masked", "all": "whole"}
    parts = {
        entry.name: Part("masked_out" if entry.axis == "out" else "masked_in", bias[entry.bias])  # type: ignore[arg-type]
        for entry in plan.layers
    }
    return Step(tuple(sorted({**dict(step_of(replace(plan, layers=()), groups).parts), **parts}.items())))


def _part(entry: LayerUpdate, group: NeuronGroup) -> Part:
    length = group.length(entry.axis)
    weight = _weight(entry, group, length)
    if group.kind != "batchnorm":
        return Part(weight, _bias(entry, length))
    bias: Bias = "frozen" if weight == "frozen" else "whole" if weight == "whole" else "masked"
    return Part(weight, bias, statistics=entry.bias == "all")


def _weight(entry: LayerUpdate, group: NeuronGroup, length: int) -> Weight:
    chosen = len(entry.channels)
    if chosen in (0, length):
        return "whole" if chosen else "frozen"
    if chosen > gather_share(entry.axis, group) * length:
        return "masked_out" if entry.axis == "out" else "masked_in"
    return entry.axis


def gather_share(axis: str, group: NeuronGroup) -> float:
    """Up to this share of channels a layer's dW is computed for the chosen ones alone."""
    if group.kind not in ("conv", "dense"):
        return 0.0
    wide = axis == "in" or (group.kind == "conv" and math.prod(group.weight_shape[:-2]) > 1)
    return GATHER_SHARE if wide else GATHER_SHARE_POINTWISE


def _bias(entry: LayerUpdate, length: int) -> Bias:
    if entry.bias == "all" or (entry.bias == "selected" and len(entry.channels) == length):
        return "whole"
    return "masked" if entry.bias == "selected" and entry.channels else "frozen"


class Train(Run):
    """Forward pass whose gradients reach only what `step` trains.

    mask: gives a site's channels `[C] bool`. followers: the batch norm that reads a site's output alone;
    where it stays frozen it is folded into the site's kernel (or map, if that is smaller) and bias.
    """

    def __init__(self, step: Step, mask: Callable[[Site], Any], followers: Mapping[str, Site]) -> None:
        self._parts = dict(step.parts)
        self._mask = mask
        self._norms = {name: norm for name, norm in followers.items() if norm.name not in self._parts}
        self._folded: dict[int, Any] = {}

    def linear(self, site: Site, x: Any, kernel: Any, forward: Callable[[Any, Any], Any]) -> Any:
        kernel = tf.convert_to_tensor(kernel)
        norm = self._norms.get(site.name)
        if norm is not None and kernel.dtype == tf.float32:
            scale, _ = norms.scale_and_shift(norm.layer)
            if norms.kernel_is_larger(kernel, x):
                return scale * self._linear(site, x, kernel, forward)
            kernel *= tf.reshape(scale, kernel.shape[-site.out_axes :])
        return self._linear(site, x, kernel, forward)

    def _linear(self, site: Site, x: Any, kernel: Any, forward: Callable[[Any, Any], Any]) -> Any:
        weight = self._parts.get(site.name, Part()).weight
        gradient = None if weight == "frozen" else _gradient(site, weight, x, kernel, self._mask)
        if gradient is None:
            return forward(x, kernel)
        return slices.attach(forward(x, tf.stop_gradient(kernel)), kernel, gradient)

    def bias(self, site: Site, y: Any, bias: Any) -> Any:
        norm = self._norms.get(site.name)
        if norm is None or y.dtype != tf.float32:
            return super().bias(site, y, bias)
        scale, shift = norms.scale_and_shift(norm.layer)
        y = super().bias(site, y, shift if bias is None else bias * scale + shift)
        self._folded[id(y)] = y
        return y

    def batchnorm(self, site: Site, call: Callable[..., Any], x: Any, **kwargs: Any) -> Any:
        if self._folded.pop(id(x), None) is not None:
            return x
        if not self._parts.get(site.name, Part()).statistics:
            return call(x, **{**kwargs, "training": False})
        if norms.can_fuse(site.layer, x, kwargs.get("mask")):
            return norms.fused(site.layer, x)
        return call(x, **kwargs)


def _gradient(
    site: Site, weight: Weight, x: Any, kernel: Any, mask: Callable[[Site], Any]
) -> slices.Gradient | None:
    """A gradient that costs less than TensorFlow's own, where there is one."""
    gathers = weight in ("out", "in")
    if site.kind == "dense" and gathers:
        return slices.dense_out(x, mask(site)) if weight == "out" else slices.dense_in(x, mask(site))
    layer = site.layer
    if site.kind != "conv" or len(kernel.shape) != 4 or getattr(layer, "groups", 1) != 1:
        return None
    separable = isinstance(layer, keras.layers.SeparableConv2D)
    strides = (1, 1) if separable else tuple(layer.strides)
    if not gathers:
        return slices.pointwise(x, strides) if tuple(kernel.shape[:2]) == (1, 1) else None
    if tuple(layer.dilation_rate) != (1, 1):
        return None
    make = slices.conv_out if weight == "out" else slices.conv_in
    return make(x, mask(site), kernel, strides, "valid" if separable else layer.padding)
