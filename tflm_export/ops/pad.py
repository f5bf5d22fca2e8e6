"""PAD and PADV2: a constant around an int8 tensor."""

from __future__ import annotations

from typing import Any

import numpy as np

from tflm_export.errors import ExportError
from tflm_export.ir import Graph, Op
from tflm_export.ops import channels, check, interval
from tflm_export.ops.arithmetic import Gradient
from tflm_export.ops.call import Call
from tflm_export.ops.kind import Backward, Emitter, GradientKind, OpKind
from tflm_export.ops.result import Result, Values, operand
from tflm_export.ops.text import kernel_call


def prepare(op: Op, tensors: check.Tensors) -> dict[str, Any]:
    """`padding`: (before, after) of every dimension; `value`: what is put there, int8."""
    check.arity(op, *((3, 3) if op.kind == "PADV2" else (2, 2)))
    check.same_quant(op, tensors, op.inputs[0], op.outputs[0])
    x, (y, qy) = tensors[op.inputs[0]], check.activation(op, tensors, op.outputs[0])
    pads = check.constant(op, tensors, op.inputs[1], "int32")
    check.require(
        pads.size == 2 * len(x.shape), op, f"paddings have {pads.size} values; expected {2 * len(x.shape)}."
    )
    pads = pads.reshape(-1, 2)
    check.require(bool((pads >= 0).all()), op, f"paddings must be >= 0, got {pads[:4].tolist()}.")
    check.require(not pads[:1].any(), op, "padding of the batch axis is not supported.")
    check.shape(op, y, [d + int(b) + int(a) for d, (b, a) in zip(x.shape, pads, strict=True)])
    value = qy.zero_point[0]
    if op.kind == "PADV2":
        check.same_quant(op, tensors, op.inputs[2], op.outputs[0])
        fill = check.constant(op, tensors, op.inputs[2], "int8")
        check.require(fill.size == 1, op, f"the value to pad with has {fill.size} elements; expected 1.")
        value = int(fill.reshape(-1)[0])
    return {"padding": tuple((int(b), int(a)) for b, a in pads), "value": value}


def forward(op: Op, graph: Graph, values: Values) -> Result:
    """The input with `value` around it."""
    x = operand(graph, values, op.inputs[0])
    return Result(np.pad(x, op.attrs["padding"], constant_values=op.attrs["value"]))


def rule(b: Backward, op: Op, g: str, mask: str, wanted: list[str]) -> None:
    """The gradient alone says it."""
    b.gradient("PAD_INPUT_GRADIENT", op, (g,), wanted[0])


def pad_struct(e: Emitter, op: Op) -> str:
    """`constexpr tfodl::Pad pad5`. Raises `ExportError` for other than four dimensions."""
    x, y = e.tensor(op.inputs[0]), e.tensor(op.outputs[0])
    if len(x.shape) != 4:
        raise ExportError(
            f"{check.where(op)}: PAD of {len(x.shape)} dimensions is not supported; allowed: 4."
        )
    before = [b for b, _ in op.attrs["padding"]][1:]
    rows = [
        f"{', '.join(map(str, x.shape[1:]))}, {', '.join(map(str, y.shape[1:]))},  // input, output map",
        f"{', '.join(map(str, before))}, {op.attrs['value']},  // before, value",
    ]
    return e.struct("Pad", f"pad{op.label}", rows)


def call(e: Emitter, op: Op, masks: bool) -> list[str]:
    """One kernel."""
    return kernel_call("pad_s8", pad_struct(e, op), e.at(op.inputs[0], "s8"), e.at(op.outputs[0], "s8"))


def _inside(call: Call) -> tuple[slice, ...]:
    """The part of the output that the input fills."""
    pads = call.forward.attrs["padding"]
    return tuple(slice(b, b + n) for (b, _), n in zip(pads, call.in_shape, strict=True))


def gradient(call: Call, g: Gradient) -> Gradient:
    """Cropped."""
    return Gradient(g.values[_inside(call)], g.exponent)


def real_gradient(call: Call, g: np.ndarray) -> np.ndarray:
    """The same in float64 or float32."""
    return g[_inside(call)]


def gradient_call(e: Emitter, op: Op) -> list[str]:
    """One kernel."""
    pad = pad_struct(e, e.layer(op))
    return kernel_call("pad_input_grad_s16", pad, e.at(op.inputs[0], "s16"), e.at(op.outputs[0], "s16"))


def gradient_call_f32(e: Emitter, op: Op) -> list[str]:
    """One kernel."""
    pad = pad_struct(e, e.layer(op))
    return kernel_call("pad_input_grad_f32", pad, e.at(op.inputs[0], "f32"), e.at(op.outputs[0], "f32"))


KIND = OpKind(prepare, forward, call, rule=rule, interval=interval.monotone, reads=channels.padded)
GRADIENT = GradientKind(gradient, real_gradient, gradient_call, gradient_call_f32, same_exponent=True)
