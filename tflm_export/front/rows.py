"""Dense layers on more than two dimensions, whose flattening the converter writes with unknown sizes.

Keras's Dense on [batch, n, c] becomes a RESHAPE to [?, ?], a FULLY_CONNECTED and a RESHAPE back, with sizes
computed when the model runs. At batch 1 they are known. A pass on ops as the file has them.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Set

from tflm_export.errors import ExportError
from tflm_export.front.trim import RESHAPES
from tflm_export.ir import Graph, Op, Tensor
from tflm_export.ops.check import short, where


def settle_rows(graph: Graph, dynamic: Set[str]) -> Graph:
    """Give the `dynamic` tensors around dense layers their shape [1, rows, channels] at batch 1.

    dynamic: tensors whose shape in the file is not fixed. Raises `ExportError` naming the op that writes one
    which stays unknown.
    """
    tensors = dict(graph.tensors)
    settled: set[str] = set()
    for op in graph.ops:
        shape = _shape(op, graph, tensors, settled, dynamic)
        if shape is not None:
            name = op.outputs[0]
            tensors[name] = dataclasses.replace(tensors[name], shape=shape)
            settled.add(name)
    graph = graph.replace(tensors=tensors)
    _check_settled(graph, dynamic - settled)
    return graph


def _shape(
    op: Op, graph: Graph, tensors: dict[str, Tensor], settled: Set[str], dynamic: Set[str]
) -> tuple[int, ...] | None:
    """The shape of the op's output where it is not the file's."""
    if len(op.outputs) != 1 or not op.inputs or op.inputs[0] not in tensors:
        return None
    x, y = tensors[op.inputs[0]], op.outputs[0]
    if op.kind in RESHAPES and y in dynamic:
        depths = {_depth(reader, tensors) for reader in graph.consumers(y)}
        depth = depths.pop() if len(depths) == 1 else 0
        return (1, x.size // depth, depth) if depth and x.size % depth == 0 else None
    if x.name not in settled:
        return None
    if op.kind == "FULLY_CONNECTED":
        return (*x.shape[:-1], tensors[op.inputs[1]].shape[0]) if _depth(op, tensors) else None
    same = graph.tensors[x.name].shape == graph.tensors[y].shape
    return x.shape if same and op.kind not in RESHAPES else None


def _depth(op: Op, tensors: dict[str, Tensor]) -> int:
    """Inputs of a dense layer; 0 of another op, or where its weights are no constant matrix."""
    weights = tensors.get(op.inputs[1]) if op.kind == "FULLY_CONNECTED" and len(op.inputs) > 1 else None
    if weights is None or weights.data is None or len(weights.shape) != 2:
        return 0
    return weights.shape[1]


def _check_settled(graph: Graph, unknown: Set[str]) -> None:
    what = "has a dynamic shape; convert with fixed shapes and a batch of 1 (keras.Input(..., batch_size=1))."
    for op in graph.ops:
        for name in op.outputs:
            if name in unknown:
                raise ExportError(f"{where(op)}: its output {what}")
    for name in graph.inputs:
        if name in unknown:
            raise ExportError(f"input {short(name)!r} {what}")
