"""FULLY_CONNECTED: x of n * K elements int8, weights [O, K] int8, bias [O] int32 -> y [..., O] int8."""

from __future__ import annotations

from typing import Any

import numpy as np

from tflm_export.ir import Graph, Op
from tflm_export.ops import check
from tflm_export.ops.convolution import gradient, layer, scratch
from tflm_export.ops.convolution.interval import interval
from tflm_export.ops.kind import OpKind, Options
from tflm_export.ops.result import Result, Values, centred, operand
from tflm_export.ops.text import FUSED


def prepare(op: Op, tensors: check.Tensors) -> dict[str, Any]:
    """Per-channel requantisation and clamp."""
    check.arity(op, 2, 3)
    x, y = tensors[op.inputs[0]], tensors[op.outputs[0]]
    weights = tensors[op.inputs[1]]
    check.rank(op, weights, 2)
    outputs, depth = weights.shape
    layout = op.attrs.get("weights_format", "DEFAULT")
    check.require(layout == "DEFAULT", op, f"weights format {layout} is not supported; allowed: DEFAULT.")
    rows = x.size // depth
    ok = rows * depth == x.size and y.size == rows * outputs and y.shape[-1:] == (outputs,)
    check.require(ok, op, f"shapes {list(x.shape)} x {list(weights.shape)} -> {list(y.shape)} do not fit.")
    check.require(y.size * depth <= check.MAX_MACS, op, "too many multiply-accumulates.")
    return layer.requantisation(op, tensors, axis=0, products=depth)


def forward(op: Op, graph: Graph, values: Values) -> Result:
    """`acc[o] = b[o] + sum (x[k] - z_x) w[o, k]`."""
    weights = operand(graph, values, op.inputs[1]).astype(np.float64)
    x = centred(graph, values, op.inputs[0]).astype(np.float64).reshape(-1, weights.shape[1])
    acc = x @ weights.T
    return layer.finish(op, graph, values, acc.reshape(-1, *graph.tensors[op.outputs[0]].shape[1:]))


KIND = OpKind(
    prepare, forward, layer.call,
    Options("FullyConnectedOptions", FUSED | {"weights_format": "WeightsFormat"}), gradient.rule,
    masked=True, axes={"out": 0, "in": 1}, scratch=scratch.forward,
    interval=interval,
)  # fmt: skip
