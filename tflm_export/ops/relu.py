"""RELU, RELU6 and RELU_N1_TO_1 as ops of their own: int8 in and out."""

from __future__ import annotations

from typing import Any

from tflm_export.ir import Graph, Op
from tflm_export.ops import channels, check, interval
from tflm_export.ops.kind import Emitter, OpKind
from tflm_export.ops.requantize import activation_range, quantize_multiplier, requantize
from tflm_export.ops.result import Result, Values, centred, clamped, output_quant
from tflm_export.ops.shared import pass_through
from tflm_export.ops.text import clip_mask, elements, kernel_call, requantize_struct

UNIT = (1 << 30, 1)  # multiplier and shift of 1


def prepare(op: Op, tensors: check.Tensors) -> dict[str, Any]:
    """Multiplier, shift, clamp. RELU may change the scale, RELU6 keeps it (as in TFLite Micro)."""
    check.arity(op, 1)
    (x, qx), (y, qy) = (
        check.activation(op, tensors, op.inputs[0]),
        check.activation(op, tensors, op.outputs[0]),
    )
    check.shape(op, y, x.shape)
    if op.kind == "RELU6":
        check.same_quant(op, tensors, op.inputs[0], op.outputs[0])
        multiplier, shift = UNIT
    else:
        multiplier, shift = quantize_multiplier(qx.scale[0] / qy.scale[0])
    check.headroom(op, 255, [shift])
    act_min, act_max = activation_range(op.kind, qy)
    return {"multiplier": multiplier, "shift": shift, "act_min": act_min, "act_max": act_max}


def forward(op: Op, graph: Graph, values: Values) -> Result:
    """`acc = x - z_x`, requantised and clamped."""
    acc = centred(graph, values, op.inputs[0])
    raw = requantize(acc, op.attrs["multiplier"], op.attrs["shift"]) + output_quant(op, graph).zero_point[0]
    return clamped(op, acc, raw)


def call(e: Emitter, op: Op, masks: bool) -> list[str]:
    """One kernel."""
    x, y = e.at(op.inputs[0], "s8"), e.at(op.outputs[0], "s8")
    return kernel_call("relu_s8", requantize_struct(e, op), x, elements(e, op), y, clip_mask(e, op, masks))


KIND = OpKind(
    prepare, forward, call, rule=pass_through,
    masked=True, in_place=(0,), interval=interval.monotone, reads=channels.channelwise,
)  # fmt: skip
