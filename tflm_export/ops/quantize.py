"""QUANTIZE from one int8 scale to another."""

from __future__ import annotations

from typing import Any

from tflm_export.ir import Graph, Op
from tflm_export.ops import channels, check, interval
from tflm_export.ops.kind import Emitter, OpKind
from tflm_export.ops.requantize import INT8_MAX, INT8_MIN, quantize_multiplier, requantize
from tflm_export.ops.result import Result, Values, centred, clamped, output_quant
from tflm_export.ops.shared import pass_through
from tflm_export.ops.text import clip_mask, elements, kernel_call, requantize_struct


def prepare(op: Op, tensors: check.Tensors) -> dict[str, Any]:
    """Multiplier and shift; the clamp is all of int8."""
    check.arity(op, 1)
    (x, qx), (y, qy) = (
        check.activation(op, tensors, op.inputs[0]),
        check.activation(op, tensors, op.outputs[0]),
    )
    check.shape(op, y, x.shape)
    multiplier, shift = quantize_multiplier(qx.scale[0] / qy.scale[0])
    check.headroom(op, 255, [shift])
    return {"multiplier": multiplier, "shift": shift, "act_min": INT8_MIN, "act_max": INT8_MAX}


def forward(op: Op, graph: Graph, values: Values) -> Result:
    """`acc = x - z_x`, requantised."""
    acc = centred(graph, values, op.inputs[0])
    raw = requantize(acc, op.attrs["multiplier"], op.attrs["shift"]) + output_quant(op, graph).zero_point[0]
    return clamped(op, acc, raw)


def call(e: Emitter, op: Op, masks: bool) -> list[str]:
    """One kernel."""
    x, y = e.at(op.inputs[0], "s8"), e.at(op.outputs[0], "s8")
    struct = requantize_struct(e, op)
    return kernel_call("requantize_s8", struct, x, elements(e, op), y, clip_mask(e, op, masks))


KIND = OpKind(
    prepare, forward, call, rule=pass_through,
    masked=True, in_place=(0,), interval=interval.monotone, reads=channels.channelwise,
)  # fmt: skip
