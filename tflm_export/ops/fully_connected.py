"""FULLY_CONNECTED: x of n * K elements int8, weights [O, K] int8, bias [O] int32 -> y [..., O] int8."""

from __future__ import annotations

from typing import Any

import numpy as np

from tflm_export.ir import Graph, Op
from tflm_export.ops import check
from tflm_export.ops.conv_2d import bias_data, finish, weight_scales
from tflm_export.ops.result import Result, Values, centred, operand
from tflm_export.requantize import activation_range, quantize_multipliers


def prepare(op: Op, tensors: check.Tensors) -> dict[str, Any]:
    """Per-channel requantisation and clamp; one scale is multiplied in float32, as TFLite does."""
    check.arity(op, 2, 3)
    (x, qx), (y, qy) = (
        check.activation(op, tensors, op.inputs[0]),
        check.activation(op, tensors, op.outputs[0]),
    )
    weights = tensors[op.inputs[1]]
    check.rank(op, weights, 2)
    outputs, depth = weights.shape
    layout = op.attrs.get("weights_format", "DEFAULT")
    check.require(layout == "DEFAULT", op, f"weights format {layout} is not supported; allowed: DEFAULT.")
    rows = x.size // depth
    ok = rows * depth == x.size and y.size == rows * outputs and y.shape[-1:] == (outputs,)
    check.require(ok, op, f"shapes {list(x.shape)} x {list(weights.shape)} -> {list(y.shape)} do not fit.")
    check.require(y.size * depth <= check.MAX_MACS, op, "too many multiply-accumulates.")
    scales = weight_scales(op, tensors, axis=0)
    products = [qx.scale[0] * s for s in scales]
    if len(weights.quant.scale) == 1:  # type: ignore[union-attr]
        products = [float(np.float32(qx.scale[0]) * np.float32(s)) for s in scales]
    multiplier, shift = quantize_multipliers([p / qy.scale[0] for p in products])
    bias = bias_data(op, tensors, outputs)
    check.headroom(op, depth * 255 * 128 + int(np.abs(bias.astype(np.int64)).max(initial=0)), shift)
    act_min, act_max = activation_range(check.fused(op), qy)
    return {"multiplier": multiplier, "shift": shift, "act_min": act_min, "act_max": act_max}


def forward(op: Op, graph: Graph, values: Values) -> Result:
    """`acc[o] = b[o] + sum (x[k] - z_x) w[o, k]`."""
    weights = operand(graph, values, op.inputs[1]).astype(np.float64)
    x = centred(graph, values, op.inputs[0]).astype(np.float64).reshape(-1, weights.shape[1])
    acc = x @ weights.T
    return finish(op, graph, values, acc.reshape(-1, *graph.tensors[op.outputs[0]].shape[1:]))
