"""MEAN over some axes of an int8 tensor (global average pooling)."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from tflm_export.ir import Graph, Op
from tflm_export.ops import check
from tflm_export.ops.requantize import INT8_MAX, INT8_MIN, quantize_multiplier, requantize
from tflm_export.ops.result import Result, Values, centred, output_quant


def prepare(op: Op, tensors: check.Tensors) -> dict[str, Any]:
    """`axes` sorted, from the front; `count` elements a mean; multiplier and shift with 1/count in them."""
    axes = reduced_axes(op, tensors)
    (x, qx), (_, qy) = (check.activation(op, tensors, name) for name in (op.inputs[0], op.outputs[0]))
    count = math.prod(x.shape[axis] for axis in axes)
    multiplier, shift = mean_multiplier(qx.scale[0] / qy.scale[0], count)
    check.headroom(op, 255 * count, [shift])
    return {
        "axes": axes,
        "keep_dims": bool(op.attrs["keep_dims"]),
        "count": count,
        "multiplier": multiplier,
        "shift": shift,
    }


def reduced_axes(op: Op, tensors: check.Tensors) -> tuple[int, ...]:
    """The axes of a reduction, sorted, from the front; checks the output's shape."""
    check.arity(op, 2)
    x, y = tensors[op.inputs[0]], tensors[op.outputs[0]]
    rank = len(x.shape)
    given = check.constant(op, tensors, op.inputs[1], "int32").reshape(-1).tolist()
    axes = tuple(sorted({axis + rank if axis < 0 else axis for axis in given}))
    ok = bool(axes) and axes[0] > 0 and axes[-1] < rank
    check.require(ok, op, f"axes {given[:8]} are not supported; allowed: 1 to {rank - 1}.")
    kept = [1 if i in axes else d for i, d in enumerate(x.shape)]
    dropped = [d for i, d in enumerate(x.shape) if i not in axes]
    check.shape(op, y, kept if op.attrs["keep_dims"] else dropped)
    return axes


def mean_multiplier(real: float, count: int) -> tuple[int, int]:
    """Multiplier and shift of `real / count`, divided as integers the way TFLite does."""
    multiplier, shift = quantize_multiplier(real)
    bits = min(count.bit_length() - 1, 32, 31 + shift)
    return (multiplier << bits) // count, shift - bits


def forward(op: Op, graph: Graph, values: Values) -> Result:
    """`y = z_y + (s_x / s_y / n) sum (x - z_x)`."""
    x = centred(graph, values, op.inputs[0])
    acc = x.sum(axis=op.attrs["axes"], keepdims=op.attrs["keep_dims"])
    raw = requantize(acc, op.attrs["multiplier"], op.attrs["shift"]) + output_quant(op, graph).zero_point[0]
    return Result(np.clip(raw, INT8_MIN, INT8_MAX).astype(np.int8))
