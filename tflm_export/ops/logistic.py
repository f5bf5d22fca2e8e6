"""LOGISTIC: the sigmoid, int8 in, int8 out with zero point -128 and, from all converters, scale 1/256.

TFLite Micro computes `256 p - 128` whatever scale the file states, and so does `forward`. Where it is another
one, the op is `256 s_y` times the sigmoid, and its gradient comes from a table of slopes (`lookup.py`).
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from tflm_export.ir import Graph, Op, QParams
from tflm_export.ops import channels, check, interval
from tflm_export.ops.arithmetic import Gradient
from tflm_export.ops.call import Call, Sums
from tflm_export.ops.fixed_point import divide_by_power, logistic
from tflm_export.ops.kind import Backward, Emitter, GradientKind, OpKind
from tflm_export.ops.requantize import INT8_MAX, INT8_MIN, requantize
from tflm_export.ops.result import Result, Values, operand, output_quant
from tflm_export.ops.text import elements, kernel_call

INPUT_BITS = 4
SLOPE_BITS = 13
EVERY = np.arange(INT8_MIN, INT8_MAX + 1)


def prepare(op: Op, tensors: check.Tensors) -> dict[str, Any]:
    """`table`: the output for inputs -128..127; `slope` where it does not follow from the output."""
    check.arity(op, 1)
    (x, qx), (y, qy) = (
        check.activation(op, tensors, op.inputs[0]),
        check.activation(op, tensors, op.outputs[0]),
    )
    check.shape(op, y, x.shape)
    check.require(qy.zero_point[0] == INT8_MIN, op, "the output must have zero point -128 (and scale 1/256).")
    argument, low, high = rescaled(op, qx)
    table = divide_by_power(logistic(argument, INPUT_BITS), 23) + INT8_MIN
    table = np.where(low, INT8_MIN, np.where(high, INT8_MAX, table))
    attrs = {"table": tuple(np.clip(table, INT8_MIN, INT8_MAX).tolist())}
    if qy.scale[0] != 1 / 256:
        p = 1 / (1 + np.exp(-qx.scale[0] * (EVERY - qx.zero_point[0])))
        attrs["slope"] = slopes(op, 256 * qy.scale[0] * p * (1 - p))
    return attrs


def slopes(op: Op, real: np.ndarray) -> tuple[int, ...]:
    """Slopes in Q13: int16."""
    rounded = np.floor(real * 2**SLOPE_BITS + 0.5)
    steepest = np.abs(real).max()
    fits = np.abs(rounded).max() < 2**15
    check.require(fits, op, f"slopes go to {steepest:g}; allowed: below 4. The output's scale is too large.")
    return tuple(rounded.astype(int).tolist())


def rescaled(op: Op, quant: QParams) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Every int8 input in Q4.27, int64 [256]; and where it is below or above what that holds, bool."""
    in_range = 2.0**-27 <= quant.scale[0] < 2.0**4
    check.require(in_range, op, f"input scale {quant.scale[0]:g} is not supported; allowed: 2^-27 to 16.")
    fraction, shift = math.frexp(quant.scale[0] * 2 ** (31 - INPUT_BITS))
    radius = math.floor((2**INPUT_BITS - 1) * 2 ** (31 - INPUT_BITS) / 2**shift)
    x = EVERY - quant.zero_point[0]
    argument = requantize(np.clip(x, -radius, radius), math.floor(fraction * 2**31 + 0.5), shift)
    return argument, x <= -radius, x >= radius


def forward(op: Op, graph: Graph, values: Values) -> Result:
    """A look in the table."""
    x = operand(graph, values, op.inputs[0]).astype(np.int64)
    return Result(np.array(op.attrs["table"], np.int8)[x - INT8_MIN])


def call(e: Emitter, op: Op, masks: bool) -> list[str]:
    """One kernel and the table."""
    table = e.tables.add("int8_t", f"logistic{op.label}", op.attrs["table"])
    x, y = e.at(op.inputs[0], "s8"), e.at(op.outputs[0], "s8")
    return kernel_call("logistic_s8", table, x, elements(e, op), y)


def rule(b: Backward, op: Op, g: str, mask: str, wanted: list[str]) -> None:
    """The gradient reads the output; the input, where there is a table of slopes."""
    if "slope" in op.attrs:
        b.gradient("LOOKUP_INPUT_GRADIENT", op, (g, op.inputs[0]), wanted[0])
        return
    b.gradient("LOGISTIC_INPUT_GRADIENT", op, (g, op.outputs[0]), wanted[0])


def gradient(call: Call, g: Gradient, y: np.ndarray) -> Sums:
    """`g (q + 128) (128 - q)`, exponent less 16."""
    q = y.astype(np.int64)
    return Sums(g.values.astype(np.int64) * (q + 128) * (128 - q), g.exponent - 16)


def real_gradient(call: Call, g: np.ndarray, y: np.ndarray) -> np.ndarray:
    """`g p (1 - p)` in float64 or float32."""
    quant = output_quant(call.forward, call.graph)
    p = quant.scale[0] * (y.astype(g.dtype) - quant.zero_point[0])
    return g * (p * (1 - p))


def gradient_call(e: Emitter, op: Op) -> list[str]:
    """One kernel."""
    g, y = op.inputs
    args = (e.at(y, "s8"), e.at(g, "s16"), e.exponent(g), elements(e, op), e.at(op.outputs[0], "s16"))
    return kernel_call("logistic_input_grad_s16", *args, e.scale(op))


def gradient_call_f32(e: Emitter, op: Op) -> list[str]:
    """One kernel."""
    g, y = op.inputs
    args = (e.at(y, "s8"), e.at(g, "f32"), elements(e, op), e.at(op.outputs[0], "f32"))
    return kernel_call("logistic_input_grad_f32", *args)


KIND = OpKind(
    prepare, forward, call, rule=rule,
    in_place=(0,), interval=interval.table, reads=channels.channelwise,
)  # fmt: skip
GRADIENT = GradientKind(
    gradient, real_gradient, gradient_call, gradient_call_f32, in_place=(0,), first_shift=11
)
