"""MUL of two int8 tensors, with broadcasting."""

from __future__ import annotations

from typing import Any

import numpy as np

from tflm_export.cpp import literal
from tflm_export.ir import Graph, Op
from tflm_export.ops import channels, check, interval
from tflm_export.ops.add import broadcast_shape
from tflm_export.ops.arithmetic import Gradient, fraction_q15, rshift
from tflm_export.ops.call import Call, Mask, Sums, gate
from tflm_export.ops.kind import Backward, Emitter, GradientKind, OpKind, Options
from tflm_export.ops.requantize import activation_range, quantize_multiplier, requantize
from tflm_export.ops.result import Result, Values, centred, clamped, output_quant, tensor_quant
from tflm_export.ops.shared import PRODUCT_BITS, positions, real_sums, sums
from tflm_export.ops.text import (
    FUSED,
    elements,
    elementwise_call,
    kernel_call,
    requantize_struct,
    same_sizes,
    spread_text,
)


def prepare(op: Op, tensors: check.Tensors) -> dict[str, Any]:
    """Multiplier and shift of the product; the clamp."""
    check.arity(op, 2)
    broadcast_shape(op, tensors)
    (_, q1), (_, q2) = (check.activation(op, tensors, name) for name in op.inputs)
    _, qy = check.activation(op, tensors, op.outputs[0])
    multiplier, shift = quantize_multiplier(q1.scale[0] * q2.scale[0] / qy.scale[0])
    check.headroom(op, 255 * 255, [shift])
    act_min, act_max = activation_range(check.fused(op), qy)
    return {"multiplier": multiplier, "shift": shift, "act_min": act_min, "act_max": act_max}


def forward(op: Op, graph: Graph, values: Values) -> Result:
    """`acc = (x1 - z1) (x2 - z2)`."""
    x1, x2 = (centred(graph, values, name) for name in op.inputs)
    acc = x1 * x2
    raw = requantize(acc, op.attrs["multiplier"], op.attrs["shift"]) + output_quant(op, graph).zero_point[0]
    return clamped(op, acc, raw)


def rule(b: Backward, op: Op, g: str, mask: str, wanted: list[str]) -> None:
    """Each factor's gradient reads the other."""
    for position, name in positions(op, wanted):
        b.gradient("MUL_INPUT_GRADIENT", op, (g, mask, op.inputs[1 - position]), name, position)


def call(e: Emitter, op: Op, masks: bool) -> list[str]:
    """One kernel."""
    return elementwise_call(e, op, masks, requantize_struct(e, op, e.zero(op.inputs[1])))


def gradient(call: Call, g: Gradient, passing: Mask, partner: np.ndarray) -> Sums:
    """`rshift(g pass F, 15) (q_b - z_b)`, summed; `partner` int8 is the other factor."""
    quant = tensor_quant(call.graph, call.op.inputs[2])
    factor, exponent = fraction_q15(quant.scale[0])
    scaled = rshift(gate(g.values.astype(np.int64), passing) * factor, 15)
    terms = scaled * (partner.astype(np.int64) - quant.zero_point[0])
    return sums(call, terms, g.exponent + exponent, PRODUCT_BITS)


def real_gradient(call: Call, g: np.ndarray, passing: Mask, partner: np.ndarray) -> np.ndarray:
    """The same in float64 or float32."""
    quant = tensor_quant(call.graph, call.op.inputs[2])
    factor = quant.scale[0] * (partner.astype(g.dtype) - quant.zero_point[0])
    return real_sums(call, gate(g, passing) * factor)


def gradient_call(e: Emitter, op: Op) -> list[str]:
    """One kernel; another where an operand is broadcast."""
    g, mask, partner = op.inputs
    factor, exponent = fraction_q15(tensor_quant(e.graph, partner).scale[0])
    args = (e.zero(partner), e.at(partner, "s8"), e.at(g, "s16"), e.exponent(g), e.at(mask, "bits"))
    result, layer = (e.at(op.outputs[0], "s16"), e.scale(op)), e.layer(op)
    if same_sizes(e, layer):
        return kernel_call("mul_input_grad_s16", factor, exponent, *args, elements(e, op), *result)
    position = op.attrs["position"]
    own, other = (spread_text(e, layer, i) for i in (position, 1 - position))
    spread = (*args[:2], other, *args[2:], e.tensor(g).size, own)
    return kernel_call("mul_broadcast_input_grad_s16", factor, exponent, *spread, *result)


def gradient_call_f32(e: Emitter, op: Op) -> list[str]:
    """One kernel for both."""
    (g, _, partner), layer, position = op.inputs, e.layer(op), op.attrs["position"]
    own, other = (spread_text(e, layer, i) for i in (position, 1 - position))
    scale = literal("float", tensor_quant(e.graph, partner).scale[0])
    args = (scale, e.zero(partner), e.at(partner, "s8"), other, e.at(g, "f32"), e.tensor(g).size, own)
    return kernel_call("mul_input_grad_f32", *args, e.at(op.outputs[0], "f32"))


KIND = OpKind(
    prepare, forward, call, Options("MulOptions", FUSED), rule,
    masked=True, in_place=(0, 1), interval=interval.corners, reads=channels.elementwise,
)  # fmt: skip
GRADIENT = GradientKind(
    gradient, real_gradient, gradient_call, gradient_call_f32, in_place=(0,), first_shift=6
)
