"""CONV_2D: x [N, H, W, C] int8, weights [O, k_h, k_w, C] int8, bias [O] int32 -> y [N, P, Q, O] int8."""

from __future__ import annotations

from typing import Any

import numpy as np

from tflm_export.ir import Graph, Op
from tflm_export.ops import check, window
from tflm_export.ops.convolution import gradient, layer, scratch
from tflm_export.ops.convolution.interval import interval
from tflm_export.ops.kind import OpKind, Options
from tflm_export.ops.result import Result, Values, centred, operand
from tflm_export.ops.text import FUSED


def prepare(op: Op, tensors: check.Tensors) -> dict[str, Any]:
    """Kernel (its extent when dilated), stride, padding, per-channel requantisation and clamp."""
    check.arity(op, 2, 3)
    (x, _), (y, _) = check.activation(op, tensors, op.inputs[0]), check.activation(op, tensors, op.outputs[0])
    weights = tensors[op.inputs[1]]
    check.rank(op, weights, 4)
    outputs, _, _, channels = weights.shape
    attrs: dict[str, Any] = dict(window.resolve(op, x, y, window.dilated(op, weights)))
    k_h, k_w = attrs["k_h"], attrs["k_w"]
    _check_groups(op, channels, x.shape[3])
    check.shape(op, y, (*y.shape[:3], outputs))
    check.require(y.size * k_h * k_w * channels <= check.MAX_MACS, op, "too many multiply-accumulates.")
    return attrs | layer.requantisation(op, tensors, axis=0, products=k_h * k_w * channels)


def _check_groups(op: Op, read: int, there: int) -> None:
    grouped = " Grouped convolutions are not supported; use groups=1, or a depthwise and a pointwise layer."
    text = f"weights read {read} channels, the input has {there}."
    check.require(read == there, op, text + (grouped if there % read == 0 else ""))


def forward(op: Op, graph: Graph, values: Values) -> Result:
    """`acc[p, o] = b[o] + sum (x[p * stride + k, c] - z_x) w[o, k, c]`; float64 is exact below 2^53."""
    x = window.pad_map(centred(graph, values, op.inputs[0]).astype(np.float64), op, 0)
    weights = window.spread_taps(operand(graph, values, op.inputs[1]), op).astype(np.float64)
    _, p, q, outputs = graph.tensors[op.outputs[0]].shape
    acc = np.zeros((len(x) * p * q, outputs))
    for ky, kx, seen in window.taps(x, op, (p, q)):
        acc += seen.reshape(-1, seen.shape[3]) @ weights[:, ky, kx].T
    return layer.finish(op, graph, values, acc.reshape(len(x), p, q, outputs))


KIND = OpKind(
    prepare, forward, layer.call,
    Options("Conv2DOptions", layer.STRIDES | layer.DILATION | FUSED), gradient.rule,
    masked=True, axes={"out": 0, "in": 3}, scratch=scratch.forward,
    interval=interval,
)  # fmt: skip
