"""Which op of a `.tflite` is which layer of the Keras model, found by the weights.

The converter mangles names and merges layers, so an op is recognised by what it holds: the layer's kernel
with batch normalisation folded in, divided by the op's scales, equals the op's int8 weights.
"""

from __future__ import annotations

import dataclasses
import hashlib
from typing import Any

import numpy as np

from tflm_export.errors import ExportError, TfodlError
from tflm_export.front.read_tflite import read_tflite
from tflm_export.ir import Graph, Op
from tflm_export.plan import LayerUpdate, UpdatePlan
from tfodl.quantize.folding.fold import fold
from tfodl.quantize.folding.folded import FoldedModel, Node

KINDS = ("CONV_2D", "DEPTHWISE_CONV_2D", "FULLY_CONNECTED")
ROUNDING = 1  # LSB between a layer's kernel on the op's scales and the op's weights
BIAS_ROUNDING = 4  # LSB between biases: the float32 sums of folding and converting differ
LIKENESS = 0.8  # least cosine between a layer and its op once one of them was trained on
MARGIN = 0.05  # by which the best cosine must beat the second best


def layer_map(model: Any, tflite: bytes) -> dict[str, str]:
    """Layer name -> op name `"#i"` for every Conv2D, DepthwiseConv2D, SeparableConv2D (two) and Dense.

    model: the `QATModel`, `Int8Model` or Keras model that the `.tflite` was made from. Where no op equals a
        layer's weights to a rounding (one of them was trained on since), the op of the same shape with the
        most similar weights is taken, if it is clearly the most similar.
    Raises `TfodlError` when a layer fits no op or several, or two layers fit one op.
    """
    if hasattr(model, "to_tflite"):
        return {group.layer: group.layer.replace("op_", "#") for group in model.groups}
    return layer_map_of(_folded(model), tflite)


def layer_map_of(folded: FoldedModel, tflite: bytes) -> dict[str, str]:
    """The same for a model that is folded already."""
    graph = _read(tflite)
    found = {node.name: _match(node, graph) for node in folded.weighted() if node.layer}
    owners: dict[str, str] = {}
    for layer, op in found.items():
        if op in owners:
            raise TfodlError(
                f"layers {owners[op]!r} and {layer!r} both match op {op} of the .tflite; "
                "was it made from this model?"
            )
        owners[op] = layer
    return found


def address(plan: UpdatePlan, model: Any, tflite: bytes) -> UpdatePlan:
    """`plan`, made on the Keras model, with every layer named by its op `"#i"` in the `.tflite`.

    Channels stay as they are: the converter keeps their order. Batch-normalisation entries vanish, since
    gamma and beta are part of the weights there. `provenance["model_sha256"]` binds the plan to the file.
    Raises `TfodlError` for a layer that is not in the model, and as `layer_map` does.
    """
    ops = layer_map(model, tflite)
    absorbed = set() if hasattr(model, "to_tflite") else set(_folded(model).absorbed)
    _check_known(plan, set(ops), absorbed)
    rows: list[LayerUpdate] = [
        dataclasses.replace(layer, name=ops[layer.name]) for layer in plan.layers if layer.name in ops
    ]
    names = {ops[layer.name]: layer.name for layer in plan.layers if layer.name in ops}
    provenance = {
        **plan.provenance,
        "model_sha256": hashlib.sha256(tflite).hexdigest(),
        "keras_layers": names,
    }
    candidates = tuple(ops[name] for name in plan.candidates if name in ops)
    return dataclasses.replace(plan, layers=tuple(rows), candidates=candidates, provenance=provenance)


def check_names(plan: UpdatePlan, model: Any) -> None:
    """Raise `TfodlError` where `address` would for a layer that is not in a Keras model."""
    folded = _folded(model)
    _check_known(plan, {node.name for node in folded.weighted() if node.layer}, set(folded.absorbed))


def _check_known(plan: UpdatePlan, layers: set[str], absorbed: set[str]) -> None:
    named = {layer.name for layer in plan.layers} | set(plan.candidates)
    unknown = sorted(named - layers - absorbed)
    if unknown:
        raise TfodlError(f"UpdatePlan: layers {unknown} are not in the model; its layers: {sorted(layers)}.")


def _folded(model: Any) -> FoldedModel:
    return model.trained() if hasattr(model, "folded") else fold(model)


def _read(tflite: bytes) -> Graph:
    try:
        return read_tflite(tflite)
    except ExportError as error:
        raise TfodlError(f"the .tflite cannot be read: {error}") from error


def _match(node: Node, graph: Graph) -> str:
    """The name of the op that holds the weights of `node`."""
    rows = _layer_rows(node)
    same_shape = [op for op in graph.ops if op.kind in KINDS and _op_rows(op, graph).shape == rows.shape]
    equal = [op for op in same_shape if _equals(rows, op, graph)]
    if len(equal) > 1:
        equal = [op for op in equal if _bias_equals(node, op, graph)]
    if len(equal) == 1:
        return equal[0].name
    if equal:
        names = ", ".join(op.name for op in equal)
        raise TfodlError(
            f"layer {node.name!r} matches the ops {names} of the .tflite alike: cannot tell which."
        )
    return _most_similar(node.name, rows, same_shape, graph)


def _most_similar(name: str, rows: np.ndarray, ops: list[Op], graph: Graph) -> str:
    ranked = sorted(((_cosine(rows, _op_real(op, graph)), op.name) for op in ops), reverse=True)
    if not ranked or ranked[0][0] < LIKENESS:
        best = (
            f"the most similar, {ranked[0][1]}, has cosine {ranked[0][0]:.2f}"
            if ranked
            else "none of its shape"
        )
        raise TfodlError(
            f"layer {name!r} [{rows.shape[0]} channels of {rows.shape[1]} weights] is not in the .tflite "
            f"({best}); was it made from this model?"
        )
    if len(ranked) > 1 and ranked[1][0] > ranked[0][0] - MARGIN:
        (first, a), (second, b) = ranked[:2]
        raise TfodlError(
            f"layer {name!r} resembles op {a} (cosine {first:.3f}) and {b} ({second:.3f}): cannot tell which."
        )
    return ranked[0][1]


def _layer_rows(node: Node) -> np.ndarray:
    """The kernel as [C_out, weights a channel], taps in row-major order, as `.tflite` weights have them."""
    assert node.kernel is not None
    if node.kind == "DepthwiseConv2D":
        return node.kernel.reshape(-1, node.kernel.shape[2] * node.kernel.shape[3]).T
    return node.kernel.reshape(-1, node.kernel.shape[-1]).T


def _op_rows(op: Op, graph: Graph) -> np.ndarray:
    """The op's int8 weights as [C_out, weights a channel]; empty where they are no constant."""
    weights = graph.tensors[op.inputs[1]].data
    if weights is None:
        return np.zeros((0, 0), np.int8)
    if op.kind == "DEPTHWISE_CONV_2D":
        return weights.reshape(-1, weights.shape[-1]).T
    return weights.reshape(weights.shape[0], -1)


def _scales(op: Op, graph: Graph) -> np.ndarray:
    quant = graph.tensors[op.inputs[1]].quant
    assert quant is not None
    return np.broadcast_to(np.asarray(quant.scale), (len(_op_rows(op, graph)),))


def _op_real(op: Op, graph: Graph) -> np.ndarray:
    found: np.ndarray = _op_rows(op, graph) * _scales(op, graph)[:, None]
    return found


def _equals(rows: np.ndarray, op: Op, graph: Graph) -> bool:
    exact = rows / _scales(op, graph)[:, None]
    return bool(np.abs(np.clip(exact, -127, 127) - _op_rows(op, graph)).max() <= ROUNDING)


def _bias_equals(node: Node, op: Op, graph: Graph) -> bool:
    source = graph.tensors[op.inputs[0]].quant
    bias = graph.tensors[op.bias].data if op.bias else 0
    assert source is not None and node.bias is not None and bias is not None
    exact = node.bias / (source.scale[0] * _scales(op, graph))
    return bool(np.abs(exact - bias).max() <= BIAS_ROUNDING)


def _cosine(a: np.ndarray, b: np.ndarray) -> float:
    norm = float(np.linalg.norm(a) * np.linalg.norm(b))
    return float(np.vdot(a, b)) / norm if norm else 0.0
