"""A model in int8 for its structure alone: weights are drawn, nothing is trained or calibrated on data.

RAM and flash of an engine follow from shapes and ops, so a plan can be sized before the training it is for.
"""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np

from tfodl.quantize.convert import to_int8_of
from tfodl.quantize.folding.fold import fold
from tfodl.quantize.folding.folded import FoldedModel, Node
from tfodl.quantize.layer_map import layer_map_of

SAMPLES = 2


def dry_int8(model: Any) -> tuple[bytes, dict[str, str]]:
    """The int8 `.tflite` of `model` under drawn weights, and layer name -> op `"#i"`.

    model: Keras 3 or tf_keras model, `SelectiveModel`, or `Int8Model` (then its own `.tflite`).
    Raises `TfodlError` naming a layer that has no int8 form.
    """
    if hasattr(model, "to_tflite"):
        tflite = model.to_tflite()
        return tflite, {group.layer: group.layer.replace("op_", "#") for group in model.groups}
    drawn = _drawn(fold(model))
    samples = np.random.default_rng(0).normal(0, 1, (SAMPLES, *drawn.input_shape)).astype(np.float32)
    tflite = to_int8_of(drawn, samples)
    return tflite, layer_map_of(drawn, tflite)


def _drawn(folded: FoldedModel) -> FoldedModel:
    """The same nodes with weights of common size (He et al. 2015), no two alike, so that ops can be told
    apart by them and no accumulator grows out of range."""
    rng = np.random.default_rng(0)
    return dataclasses.replace(folded, nodes=tuple(_draw(node, rng) for node in folded.nodes))


def _draw(node: Node, rng: np.random.Generator) -> Node:
    if node.kernel is None or node.bias is None:
        return node
    depthwise = node.kind == "DepthwiseConv2D"
    fan_in = np.prod(node.kernel.shape[:2] if depthwise else node.kernel.shape[:-1])
    kernel = rng.normal(0, np.sqrt(2 / fan_in), node.kernel.shape).astype(np.float32)
    bias = rng.uniform(0.01, 0.1, node.bias.shape).astype(np.float32)
    return dataclasses.replace(node, kernel=kernel, bias=bias)
