"""AVERAGE_POOL_2D and MAX_POOL_2D: x [N, H, W, C] int8 -> y [N, P, Q, C] int8, padding not counted."""

from __future__ import annotations

from typing import Any

import numpy as np

from tflm_export.ir import Graph, Op
from tflm_export.ops import check, window
from tflm_export.ops.requantize import INT8_MIN, activation_range
from tflm_export.ops.result import Result, Values, operand


def prepare(op: Op, tensors: check.Tensors) -> dict[str, Any]:
    """Kernel, stride, padding and clamp."""
    check.arity(op, 1)
    check.same_quant(op, tensors, op.inputs[0], op.outputs[0], tolerance=1e-6)
    x, (y, qy) = tensors[op.inputs[0]], check.activation(op, tensors, op.outputs[0])
    attrs: dict[str, Any] = dict(window.resolve(op, x, y, (op.attrs["k_h"], op.attrs["k_w"])))
    check.shape(op, y, (*y.shape[:3], x.shape[3]))
    check.require(y.size * attrs["k_h"] * attrs["k_w"] <= check.MAX_MACS, op, "too many sums.")
    act_min, act_max = activation_range(check.fused(op), qy)
    return attrs | {"act_min": act_min, "act_max": act_max}


def average(op: Op, graph: Graph, values: Values) -> Result:
    """Mean over the window's pixels inside the map, halves away from zero."""
    x = operand(graph, values, op.inputs[0]).astype(np.int64)
    size = graph.tensors[op.outputs[0]].shape[1:3]
    inside = window.pad_map(np.ones((1, *x.shape[1:3], 1), np.int64), op, 0)
    total = _sum(window.pad_map(x, op, 0), op, size)
    count = _sum(inside, op, size)
    half_up = (np.abs(total) + count // 2) // count
    return _clamp(op, np.sign(total) * half_up)


def maximum(op: Op, graph: Graph, values: Values) -> Result:
    """Largest pixel of the window."""
    x = window.pad_map(operand(graph, values, op.inputs[0]), op, INT8_MIN)
    size = graph.tensors[op.outputs[0]].shape[1:3]
    seen = (view for _, _, view in window.taps(x, op, size))
    out = next(seen)
    for view in seen:
        out = np.maximum(out, view)
    return _clamp(op, out)


def _sum(x: np.ndarray, op: Op, size: tuple[int, ...]) -> np.ndarray:
    total = np.zeros((len(x), *size, x.shape[3]), np.int64)
    for _, _, seen in window.taps(x, op, size):
        total += seen
    return total


def _clamp(op: Op, y: np.ndarray) -> Result:
    return Result(np.clip(y, op.attrs["act_min"], op.attrs["act_max"]).astype(np.int8))
