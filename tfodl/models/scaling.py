"""`find_contract`: how a Keras model takes its pictures, found in the model itself."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import Any

import keras
import numpy as np

from tflm_export.contracts import Contract
from tflm_export.input_contract import InputContract
from tfodl.quantize.folding.affine import Affine, affine_before, layer_affine, parents
from tfodl.quantize.folding.fold import IDENTITY

LARGEST_GAIN = 1 / 16  # of a scaling that is meant for 0..255, not for 0..1
LARGEST_MEAN = 2.0  # that a scaling meant for 0..1 takes away
# Published nets that want their pixels scaled outside, by the default names of keras.applications.
PUBLISHED = {
    r"resnet(50|101|152)v2": "-1..1",
    r"(mobilenet|inception|xception|nasnet)": "-1..1",
    r"(resnet(50|101|152)|vgg1[69])$": "caffe",
    r"densenet": "torch",
}
PASSES = IDENTITY | {"RandomCrop", "ZeroPadding2D"}


def find_contract(model: keras.Model, shape: Sequence[int]) -> InputContract:
    """How `model` takes pictures of `shape` (height, width, channels).

    A model that begins with a scaling (Rescaling, Normalization, arithmetic with constants) takes what that
    scaling is meant for; a net of keras.applications, known by its name or that of a model in it, what it was
    published with; any other is assumed to take -1..1, as tfodl's own nets do.

    >>> model = keras.Sequential([keras.Input((8, 8, 3)), keras.layers.Rescaling(1 / 255)])
    >>> find_contract(model, (8, 8, 3)).text
    '8x8x3 rgb, pixels as 0..255 (the model scales them itself)'
    """
    beginning = _beginning(model)
    if beginning is not None:
        rule = "0..255" if _wants_pixels(beginning) else "0..1"
        return InputContract.parse(rule, shape, "the model scales them itself")
    for name in _names(model):
        for pattern, rule in PUBLISHED.items():
            if re.match(pattern, name.lower()) and (shape[-1] == 3 or rule == "-1..1"):
                return InputContract.parse(rule, shape, f"as {name} was published")
    return InputContract.parse("-1..1", shape, "assumed")


def device_contract(contract: Contract, rescaling: Affine) -> Contract:
    """The contract of the int8 graph, whose input's quantisation has taken up the model's own `rescaling`."""
    if rescaling.identity:
        return contract
    divisor = [1 / value for value in rescaling.scale]
    return contract.then(divisor, rescaling.offset, rescaling.flip)


def _names(model: keras.Model) -> Iterator[str]:
    """Names of the model and of the models in it."""
    for layer in model._flatten_layers():
        if isinstance(layer, keras.Model):
            yield layer.name


def _wants_pixels(rule: Affine) -> bool:
    """Whether a scaling is meant for 0..255."""
    means = np.abs(np.array(rule.offset) / np.array(rule.scale))
    return max(map(abs, rule.scale)) <= LARGEST_GAIN or means.max() > LARGEST_MEAN


def _beginning(model: keras.Model) -> Affine | None:
    """The scaling that `model` begins with; None where it begins with none."""
    graph = getattr(model, "_functional", None) or model  # of a Sequential
    if not hasattr(graph, "operations"):
        rules = map(layer_affine, model._flatten_layers())  # subclassed: any in it is its first
        return next((rule for rule in rules if rule is not None), None)
    rule, tensor = Affine(), graph.inputs[0]
    while (step := _next(graph, tensor)) is not None:
        tensor, after = step
        rule = rule.then(after)
    for reader in _readers(graph, tensor):
        if isinstance(reader, keras.Model) and (deeper := _beginning(reader)) is not None:
            rule = rule.then(deeper)
            break
    return None if rule.identity else rule


def _next(graph: Any, tensor: Any) -> tuple[Any, Affine] | None:
    """A tensor that is `tensor` scaled, or passed through, and the scaling."""
    for operation, call in _calls(graph):
        for made in call.output_tensors:
            step = affine_before(made)
            if step is not None and step[0] is tensor:
                return made, step[1]
            if type(operation).__name__ in PASSES and parents(call)[0] is tensor:
                return made, Affine()
    return None


def _readers(graph: Any, tensor: Any) -> list[Any]:
    """The operations that read `tensor`."""
    return [
        operation for operation, call in _calls(graph) if any(parent is tensor for parent in parents(call))
    ]


def _calls(graph: Any) -> list[tuple[Any, Any]]:
    return [(operation, call) for operation in graph.operations for call in operation._inbound_nodes]
