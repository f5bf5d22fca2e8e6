"""MUL of two int8 tensors, with broadcasting."""

from __future__ import annotations

from typing import Any

from tflm_export.ir import Graph, Op
from tflm_export.ops import check
from tflm_export.ops.add import broadcast_shape
from tflm_export.ops.requantize import activation_range, quantize_multiplier, requantize
from tflm_export.ops.result import Result, Values, centred, clamped, output_quant


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
