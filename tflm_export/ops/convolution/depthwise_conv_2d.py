"""DEPTHWISE_CONV_2D: x [N, H, W, C] int8, weights [1, k_h, k_w, C * m] int8 -> y [N, P, Q, C * m] int8."""

from __future__ import annotations

from typing import Any

import numpy as np

from tflm_export.ir import Graph, Op
from tflm_export.ops import channels, check, window
from tflm_export.ops.convolution import gradient, layer, scratch
from tflm_export.ops.convolution.interval import interval
from tflm_export.ops.kind import OpKind, Options
from tflm_export.ops.result import Result, Values, centred, operand
from tflm_export.ops.text import FUSED


def prepare(op: Op, tensors: check.Tensors) -> dict[str, Any]:
    """Kernel, stride, padding, `depth_multiplier` m, per-channel requantisation and clamp."""
    check.arity(op, 2, 3)
    (x, _), (y, _) = check.activation(op, tensors, op.inputs[0]), check.activation(op, tensors, op.outputs[0])
    weights = tensors[op.inputs[1]]
    check.rank(op, weights, 4)
    one, _, _, outputs = weights.shape
    attrs: dict[str, Any] = dict(window.resolve(op, x, y, window.dilated(op, weights)))
    k_h, k_w = attrs["k_h"], attrs["k_w"]
    check.require(one == 1, op, f"weights have shape {list(weights.shape)}; expected [1, k_h, k_w, C].")
    channels = x.shape[3]
    check.require(outputs % channels == 0, op, f"{outputs} outputs are no multiple of {channels} channels.")
    check.shape(op, y, (*y.shape[:3], outputs))
    check.require(y.size * k_h * k_w <= check.MAX_MACS, op, "too many multiply-accumulates.")
    stated = op.attrs.get("depth_multiplier", outputs // channels)
    text = f"the depth multiplier is {stated}, but {channels} channels become {outputs}. Convert again."
    check.require(stated * channels == outputs, op, text)
    attrs["depth_multiplier"] = outputs // channels
    return attrs | layer.requantisation(op, tensors, axis=3, products=k_h * k_w)


def forward(op: Op, graph: Graph, values: Values) -> Result:
    """`acc[p, c m + j] = b + sum (x[p * stride + k, c] - z_x) w[k, c m + j]`."""
    x = window.pad_map(centred(graph, values, op.inputs[0]).astype(np.float64), op, 0)
    if op.attrs["depth_multiplier"] > 1:
        x = np.repeat(x, op.attrs["depth_multiplier"], axis=3)
    weights = window.spread_taps(operand(graph, values, op.inputs[1]), op).astype(np.float64)
    _, p, q, outputs = graph.tensors[op.outputs[0]].shape
    acc = np.zeros((len(x), p, q, outputs))
    for ky, kx, seen in window.taps(x, op, (p, q)):
        acc += seen * weights[0, ky, kx]
    return layer.finish(op, graph, values, acc)


FIELDS = layer.STRIDES | layer.DILATION | FUSED | {"depth_multiplier": "DepthMultiplier"}
KIND = OpKind(
    prepare, forward, layer.call, Options("DepthwiseConv2DOptions", FIELDS), gradient.rule,
    masked=True, axes={"out": 3, "in": 3}, resident=True, scratch=scratch.forward,
    interval=interval, reads=channels.channelwise,
)  # fmt: skip
