"""MINIMUM and MAXIMUM of two int8 tensors of one quantisation, with broadcasting."""

from __future__ import annotations

from typing import Any

import numpy as np

from tflm_export.ir import Graph, Op
from tflm_export.ops import channels, check, interval
from tflm_export.ops.add import broadcast_shape
from tflm_export.ops.arithmetic import Gradient
from tflm_export.ops.call import Call, Sums
from tflm_export.ops.kind import Backward, Emitter, GradientKind, OpKind
from tflm_export.ops.result import Result, Values, operand
from tflm_export.ops.shared import GRADIENT_BITS, positions, real_sums, sums
from tflm_export.ops.text import elements, kernel_call, spread_text

SIGN = {"MINIMUM": 1, "MAXIMUM": -1}


def prepare(op: Op, tensors: check.Tensors) -> dict[str, Any]:
    """Nothing to resolve: the integers are compared as they are, so all must have one quantisation."""
    check.arity(op, 2)
    broadcast_shape(op, tensors)
    for name in op.inputs:
        check.same_quant(op, tensors, name, op.outputs[0])
    return {}


def forward(op: Op, graph: Graph, values: Values) -> Result:
    """The smaller, or the larger."""
    a, b = (operand(graph, values, name) for name in op.inputs)
    return Result(np.minimum(a, b) if op.kind == "MINIMUM" else np.maximum(a, b))


def call(e: Emitter, op: Op, masks: bool) -> list[str]:
    """One kernel."""
    operands = [text for i, x in enumerate(op.inputs) for text in (e.at(x, "s8"), spread_text(e, op, i))]
    return kernel_call(f"{op.kind.lower()}_s8", *operands, elements(e, op), e.at(op.outputs[0], "s8"))


def rule(b: Backward, op: Op, g: str, mask: str, wanted: list[str]) -> None:
    """Each operand's gradient reads both."""
    for position, name in positions(op, wanted):
        b.gradient("EXTREMUM_INPUT_GRADIENT", op, (g, name, op.inputs[1 - position]), name, position)


def _taken(call: Call, own: np.ndarray, other: np.ndarray) -> np.ndarray:
    """Where the output is the operand's; where both are equal, the first one's."""
    less = SIGN[call.forward.kind] * (own.astype(np.int64) - other.astype(np.int64))
    taken: np.ndarray = less < _limit(call.op)
    return taken


def _limit(op: Op) -> int:
    return 0 if op.attrs["position"] else 1


def gradient(call: Call, g: Gradient, own: np.ndarray, other: np.ndarray) -> Sums:
    """`g` where the operand was taken, summed where it is broadcast."""
    return sums(call, g.values.astype(np.int64) * _taken(call, own, other), g.exponent, GRADIENT_BITS)


def real_gradient(call: Call, g: np.ndarray, own: np.ndarray, other: np.ndarray) -> np.ndarray:
    """The same in float64 or float32."""
    return real_sums(call, g * _taken(call, own, other))


def _operands(e: Emitter, op: Op) -> list[str]:
    """Both operands, the one whose gradient it is first; sign and limit before them."""
    layer, position = e.layer(op), op.attrs["position"]
    places = (position, 1 - position)
    operands = [text for i in places for text in (e.at(layer.inputs[i], "s8"), spread_text(e, layer, i))]
    return [str(SIGN[layer.kind]), str(_limit(op)), *operands]


def gradient_call(e: Emitter, op: Op) -> list[str]:
    """One kernel."""
    g = op.inputs[0]
    args = (e.at(g, "s16"), e.exponent(g), e.tensor(g).size, e.at(op.outputs[0], "s16"), e.scale(op))
    return kernel_call("extremum_input_grad_s16", *_operands(e, op), *args)


def gradient_call_f32(e: Emitter, op: Op) -> list[str]:
    """One kernel."""
    g = op.inputs[0]
    args = (e.at(g, "f32"), e.tensor(g).size, e.at(op.outputs[0], "f32"))
    return kernel_call("extremum_input_grad_f32", *_operands(e, op), *args)


KIND = OpKind(
    prepare, forward, call, rule=rule,
    in_place=(0, 1), interval=interval.monotone, reads=channels.elementwise,
)  # fmt: skip
GRADIENT = GradientKind(gradient, real_gradient, gradient_call, gradient_call_f32)
