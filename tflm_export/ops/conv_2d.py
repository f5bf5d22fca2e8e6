"""CONV_2D: x [N, H, W, C] int8, weights [O, k_h, k_w, C] int8, bias [O] int32 -> y [N, P, Q, O] int8."""

from __future__ import annotations

from typing import Any

import numpy as np

from tflm_export.ir import Graph, Op
from tflm_export.ops import check, window
from tflm_export.ops.requantize import activation_range, quantize_multipliers, requantize
from tflm_export.ops.result import Result, Values, centred, clamped, operand, output_quant


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
    return attrs | requantisation(op, tensors, axis=0, products=k_h * k_w * channels)


def _check_groups(op: Op, read: int, there: int) -> None:
    grouped = " Grouped convolutions are not supported; use groups=1, or a depthwise and a pointwise layer."
    text = f"weights read {read} channels, the input has {there}."
    check.require(read == there, op, text + (grouped if there % read == 0 else ""))


def requantisation(op: Op, tensors: check.Tensors, axis: int, products: int) -> dict[str, Any]:
    """`multiplier`, `shift` [O], `act_min`, `act_max` of a layer with weights and bias."""
    (_, qx), (_, qy) = (
        check.activation(op, tensors, op.inputs[0]),
        check.activation(op, tensors, op.outputs[0]),
    )
    scales = weight_scales(op, tensors, axis)
    bias = bias_data(op, tensors, len(scales))
    multiplier, shift = quantize_multipliers([qx.scale[0] * s / qy.scale[0] for s in scales])
    largest = products * 255 * 128 + int(np.abs(bias.astype(np.int64)).max(initial=0))
    check.headroom(op, largest, shift)
    act_min, act_max = activation_range(check.fused(op), qy)
    return {"multiplier": multiplier, "shift": shift, "act_min": act_min, "act_max": act_max}


def weight_scales(op: Op, tensors: check.Tensors, axis: int) -> tuple[float, ...]:
    """One scale an output channel; checks constant, symmetric int8 weights."""
    weights = tensors[op.inputs[1]]
    check.constant(op, tensors, weights.name, "int8")
    quant, outputs = weights.quant, weights.shape[axis]
    check.require(quant is not None, op, f"weights {weights.name!r} have no scale.")
    assert quant is not None
    check.require(not any(quant.zero_point), op, f"weights {weights.name!r} must have zero point 0.")
    if len(quant.scale) == 1:
        return quant.scale * outputs
    ok = len(quant.scale) == outputs and quant.axis == axis
    check.require(
        ok, op, f"weights {weights.name!r} have {len(quant.scale)} scales along axis {quant.axis}; "
        f"expected {outputs} along axis {axis}."
    )  # fmt: skip
    return quant.scale


def bias_data(op: Op, tensors: check.Tensors, outputs: int) -> np.ndarray:
    """The bias [O] int32; zeros when there is none."""
    if len(op.inputs) < 3 or not op.inputs[2]:
        return np.zeros(outputs, np.int32)
    bias = check.constant(op, tensors, op.inputs[2], "int32")
    check.require(bias.size == outputs, op, f"bias has {bias.size} values; expected {outputs}.")
    return bias


def finish(op: Op, graph: Graph, values: Values, acc: np.ndarray) -> Result:
    """Add the bias to sums [N, ..., O] (float64 holding integers), requantise, clamp."""
    acc = acc.astype(np.int64)
    if len(op.inputs) > 2 and op.inputs[2]:
        acc = acc + operand(graph, values, op.inputs[2]).reshape(-1)
    raw = requantize(acc, op.attrs["multiplier"], op.attrs["shift"]) + output_quant(op, graph).zero_point[0]
    return clamped(op, acc, raw)


def forward(op: Op, graph: Graph, values: Values) -> Result:
    """`acc[p, o] = b[o] + sum (x[p * stride + k, c] - z_x) w[o, k, c]`; float64 is exact below 2^53."""
    x = window.pad_map(centred(graph, values, op.inputs[0]).astype(np.float64), op, 0)
    weights = window.spread_taps(operand(graph, values, op.inputs[1]), op).astype(np.float64)
    _, p, q, outputs = graph.tensors[op.outputs[0]].shape
    acc = np.zeros((len(x) * p * q, outputs))
    for ky, kx, seen in window.taps(x, op, (p, q)):
        acc += seen.reshape(-1, seen.shape[3]) @ weights[:, ky, kx].T
    return finish(op, graph, values, acc.reshape(len(x), p, q, outputs))
