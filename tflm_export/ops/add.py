"""ADD and SUB of two int8 tensors of any scales, with broadcasting."""

from __future__ import annotations

from typing import Any

import numpy as np

from tflm_export.ir import Graph, Op, QParams
from tflm_export.ops import channels, check, interval
from tflm_export.ops.kind import Backward, Emitter, OpKind, Options
from tflm_export.ops.requantize import activation_range, quantize_multiplier, requantize
from tflm_export.ops.result import Result, Values, centred, clamped, output_quant
from tflm_export.ops.shared import is_broadcast, pass_through, positions, sum_over
from tflm_export.ops.text import FUSED, elementwise_call

LEFT_SHIFT = 20


def prepare(op: Op, tensors: check.Tensors) -> dict[str, Any]:
    """Multipliers and shifts of both inputs and of the sum; the clamp."""
    check.arity(op, 2)
    broadcast_shape(op, tensors)
    (_, q1), (_, q2) = (check.activation(op, tensors, name) for name in op.inputs)
    _, qy = check.activation(op, tensors, op.outputs[0])
    reals = real_multipliers(q1, q2, qy)
    check.require(
        reals[2] < 1, op, f"output scale {qy.scale[0]:g} is too small beside its inputs' ({q1.scale[0]:g}, "
        f"{q2.scale[0]:g}). Convert again with more representative data."
    )  # fmt: skip
    act_min, act_max = activation_range(check.fused(op), qy)
    attrs: dict[str, Any] = {"left_shift": LEFT_SHIFT, "act_min": act_min, "act_max": act_max}
    for name, real in zip(("input1", "input2", "output"), reals, strict=True):
        attrs[f"{name}_multiplier"], attrs[f"{name}_shift"] = quantize_multiplier(real)
    return attrs


def real_multipliers(q1: QParams, q2: QParams, qy: QParams) -> tuple[float, float, float]:
    """Factors of both inputs and of the output."""
    twice = 2 * max(q1.scale[0], q2.scale[0])
    return q1.scale[0] / twice, q2.scale[0] / twice, twice / (2**LEFT_SHIFT * qy.scale[0])


def broadcast_shape(op: Op, tensors: check.Tensors) -> None:
    """Check that the output has the broadcast shape of the two inputs."""
    shapes = [tensors[name].shape for name in op.inputs]
    try:
        expected = np.broadcast_shapes(*shapes)
    except ValueError:
        check.require(False, op, f"shapes {list(shapes[0])} and {list(shapes[1])} do not broadcast.")
    check.shape(op, tensors[op.outputs[0]], expected)


def forward(op: Op, graph: Graph, values: Values) -> Result:
    """Both inputs moved up 20 bits and brought to one scale; their sum (difference) requantised."""
    a = op.attrs
    x1, x2 = (centred(graph, values, name) << a["left_shift"] for name in op.inputs)
    x1 = requantize(x1, a["input1_multiplier"], a["input1_shift"])
    x2 = requantize(x2, a["input2_multiplier"], a["input2_shift"])
    acc = x1 + x2 if op.kind == "ADD" else x1 - x2
    raw = requantize(acc, a["output_multiplier"], a["output_shift"]) + output_quant(op, graph).zero_point[0]
    return clamped(op, acc, raw)


def subtract_rule(b: Backward, op: Op, g: str, mask: str, wanted: list[str]) -> None:
    """The gradient to the first input, its negative to the second; summed for one that is broadcast."""
    for position, name in reversed(list(positions(op, wanted))):
        if is_broadcast(b, op, name):
            sum_over(b, op, g, mask, position, -1 if position else 1)
        elif position == 1:
            b.gradient("NEGATE_GRADIENT", op, (g, mask), name, position)
        else:
            b.note(op, name, b.passing(op, g, mask), position)


def add_struct(e: Emitter, op: Op, swapped: bool = False) -> str:
    """`constexpr tfodl::Add add4` for ADD and SUB; `swapped`: operands of an ADD change places."""
    a, y = op.attrs, op.outputs[0]
    (x1, x2), (one, two) = op.inputs, ("input1", "input2")
    if swapped:
        x1, x2, one, two = x2, x1, two, one
    rows = [
        f"{e.zero(x1)}, {e.zero(x2)}, {e.zero(y)}, {a['act_min']}, {a['act_max']},  // zero points, clamp",
        f"{a[f'{one}_multiplier']}, {a[f'{two}_multiplier']}, {a['output_multiplier']},",
        f"{a[f'{one}_shift']}, {a[f'{two}_shift']}, {a['output_shift']},",
    ]
    return e.struct("Add", f"add{op.label}", rows)


def call(e: Emitter, op: Op, masks: bool) -> list[str]:
    """One kernel."""
    return elementwise_call(e, op, masks, add_struct(e, op))


OPERANDS = (0, 1)
ADD = OpKind(
    prepare, forward, call, Options("AddOptions", FUSED), pass_through,
    masked=True, in_place=OPERANDS, interval=interval.monotone, reads=channels.elementwise,
)  # fmt: skip
SUB = OpKind(
    prepare, forward, call, Options("SubOptions", FUSED), subtract_rule,
    masked=True, in_place=OPERANDS, interval=interval.corners, reads=channels.elementwise,
)  # fmt: skip
