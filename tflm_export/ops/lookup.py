"""ABS, ELU, HARD_SWISH, LEAKY_RELU, TANH: functions of one int8, a table of 256 outputs and one of slopes."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from tflm_export.ir import Graph, Op, QParams
from tflm_export.ops import channels, check, interval
from tflm_export.ops.arithmetic import Gradient
from tflm_export.ops.call import Call, Sums
from tflm_export.ops.fixed_point import divide_by_power, tanh
from tflm_export.ops.kind import Backward, Emitter, GradientKind, OpKind, Options
from tflm_export.ops.logistic import EVERY, INPUT_BITS, SLOPE_BITS, rescaled, slopes
from tflm_export.ops.requantize import INT8_MAX, INT8_MIN, quantize_multiplier, requantize
from tflm_export.ops.result import Result, Values, operand
from tflm_export.ops.text import elements, kernel_call

INT16_MAX = 2**15 - 1
Prepare = Callable[[Op, check.Tensors], dict[str, Any]]


def forward(op: Op, graph: Graph, values: Values) -> Result:
    """A look in the table."""
    x = operand(graph, values, op.inputs[0]).astype(np.int64)
    return Result(np.array(op.attrs["table"], np.int8)[x - INT8_MIN])


def hard_swish(op: Op, tensors: check.Tensors) -> dict[str, Any]:
    """`y = x relu6(x + 3) / 6`, in 16 bits as TFLite has it."""
    qx, qy = _quants(op, tensors)
    scale = np.float32(qx.scale[0]) / np.float32(128)
    reluish = _short_multiplier(op, scale / (np.float32(3) / np.float32(2**15)))
    to_output = _short_multiplier(op, scale / np.float32(qy.scale[0]))
    check.require(to_output[1] <= 0, op, f"output scale {qy.scale[0]:g} is too small beside its input's.")
    hires = (EVERY - qx.zero_point[0]) << 7
    gate = (_reluish(hires, *reluish) + 2**15) >> 1
    product = gate * _high16(hires, to_output[0])
    product = np.sign(product) * (np.abs(product) >> 15)  # C++ divides towards 0
    y = divide_by_power(product, -to_output[1]) + qy.zero_point[0]
    x = _real(qx)
    slope = np.where(x <= -3, 0.0, np.where(x >= 3, 1.0, (2 * x + 3) / 6))
    return _tables(op, y, x * np.clip(x + 3, 0, 6) / 6, slope, qy)


def _short_multiplier(op: Op, real: np.float32) -> tuple[int, int]:
    """`quantize_multiplier` rounded to 16 bits."""
    multiplier, shift = quantize_multiplier(float(real))
    check.require(abs(shift) < 16, op, "the scales do not fit together.")
    return min(INT16_MAX, (multiplier + 2**15) >> 16), shift


def _high16(a: np.ndarray, b: int) -> np.ndarray:
    return (a * b + 2**14) >> 15


def _reluish(x: np.ndarray, multiplier: int, exponent: int) -> np.ndarray:
    """`x / 3` saturated to -1..1, Q0.15, from `x` of 7 bits more than the input."""
    if exponent > 0:
        x = _left16(x, exponent - 1)
    x = _high16(x, multiplier)
    return _left16(x, 1) if exponent > 0 else divide_by_power(x, -exponent)


def _left16(x: np.ndarray, bits: int) -> np.ndarray:
    result: np.ndarray = np.clip(x << bits, -INT16_MAX - 1, INT16_MAX)
    return result


def leaky_relu(op: Op, tensors: check.Tensors) -> dict[str, Any]:
    """`y = x`, or `alpha x` below 0."""
    qx, qy = _quants(op, tensors)
    alpha = op.attrs["alpha"]
    check.require(math.isfinite(alpha) and 0 <= alpha < 4, op, f"alpha is {alpha}; allowed: 0 up to 4.")
    below = quantize_multiplier(qx.scale[0] * alpha / qy.scale[0])
    above = quantize_multiplier(qx.scale[0] / qy.scale[0])
    check.headroom(op, 255, [below[1], above[1]])
    x = EVERY - qx.zero_point[0]
    y = np.where(x >= 0, requantize(x, *above), requantize(x, *below)) + qy.zero_point[0]
    slope = np.where(x >= 0, 1.0, alpha)
    return _tables(op, y, slope * _real(qx), slope, qy)


def absolute(op: Op, tensors: check.Tensors) -> dict[str, Any]:
    """`y = |x|`."""
    qx, qy = _quants(op, tensors)
    multiplier, shift = quantize_multiplier(qx.scale[0] / qy.scale[0])
    check.headroom(op, 255, [shift])
    x = EVERY - qx.zero_point[0]
    y = np.abs(x) if qx.scale == qy.scale else requantize(np.abs(x), multiplier, shift)
    return _tables(op, y + qy.zero_point[0], np.abs(_real(qx)), np.sign(x).astype(float), qy)


def elu(op: Op, tensors: check.Tensors) -> dict[str, Any]:
    """`y = x`, or `exp(x) - 1` below 0: in float32, as TFLite Micro makes its table."""
    qx, qy = _quants(op, tensors)
    x = np.float32(qx.scale[0]) * (EVERY - qx.zero_point[0]).astype(np.float32)
    exponential = np.exp(np.minimum(x, 0).astype(np.float64)).astype(np.float32)
    y = np.where(x < 0, exponential - np.float32(1), x) * (np.float32(1) / np.float32(qy.scale[0]))
    rounded = np.trunc(y + np.copysign(np.float32(0.5), y).astype(np.float64)).astype(int)
    real = _real(qx)
    below = np.exp(np.minimum(real, 0))
    slope = np.where(real < 0, below, 1.0)
    return _tables(op, rounded + qy.zero_point[0], np.where(real < 0, below - 1, real), slope, qy)


def hyperbolic_tangent(op: Op, tensors: check.Tensors) -> dict[str, Any]:
    """`q = 128 tanh x`, as TFLite Micro has it whatever scale the file states: `y = s_y (q - z_y)`."""
    qx, qy = _quants(op, tensors)
    argument, low, high = rescaled(op, qx)
    y = divide_by_power(tanh(argument, INPUT_BITS), 24)
    y = np.where(low, INT8_MIN, np.where(high, INT8_MAX, y))
    real = np.tanh(_real(qx))
    return _tables(op, y, real, 128 * qy.scale[0] * (1 - real**2), QParams((1.0,), (0,)))  # never clips


def _quants(op: Op, tensors: check.Tensors) -> tuple[QParams, QParams]:
    check.arity(op, 1)
    (x, qx), (y, qy) = (check.activation(op, tensors, name) for name in (op.inputs[0], op.outputs[0]))
    check.shape(op, y, x.shape)
    return qx, qy


def _real(quant: QParams) -> np.ndarray:
    return quant.scale[0] * (EVERY - quant.zero_point[0])


def _tables(op: Op, y: np.ndarray, real: np.ndarray, slope: np.ndarray, quant: QParams) -> dict[str, Any]:
    """`table`: outputs of the inputs -128..127; `slope`: their derivatives in Q13, 0 where it clips."""
    low, high = (quant.scale[0] * (bound - quant.zero_point[0]) for bound in (INT8_MIN, INT8_MAX))
    passing = (real >= low - quant.scale[0] / 2) & (real <= high + quant.scale[0] / 2)
    table = tuple(np.clip(y, INT8_MIN, INT8_MAX).tolist())
    return {"table": table, "slope": slopes(op, np.where(passing, slope, 0))}


def call(e: Emitter, op: Op, masks: bool) -> list[str]:
    """One kernel and the table."""
    table = e.tables.add("int8_t", f"{op.kind.lower()}{op.label}", op.attrs["table"])
    x, y = e.at(op.inputs[0], "s8"), e.at(op.outputs[0], "s8")
    return kernel_call("lookup_s8", table, x, elements(e, op), y)


def rule(b: Backward, op: Op, g: str, mask: str, wanted: list[str]) -> None:
    """The gradient reads the input."""
    b.gradient("LOOKUP_INPUT_GRADIENT", op, (g, op.inputs[0]), wanted[0])


def gradient(call: Call, g: Gradient, x: np.ndarray) -> Sums:
    """`g slope[x]`, slope in Q13."""
    slope = np.array(call.forward.attrs["slope"], np.int64)
    return Sums(g.values.astype(np.int64) * slope[x.astype(np.int64) + 128], g.exponent - SLOPE_BITS)


def real_gradient(call: Call, g: np.ndarray, x: np.ndarray) -> np.ndarray:
    """The same in float64 or float32."""
    slope = np.array(call.forward.attrs["slope"], g.dtype)
    return g * (slope[x.astype(np.int64) + 128] / 2.0**SLOPE_BITS)


def _slopes(e: Emitter, op: Op) -> str:
    return e.tables.add("int16_t", f"slope{op.label}", e.layer(op).attrs["slope"])


def gradient_call(e: Emitter, op: Op) -> list[str]:
    """One kernel and the table of slopes."""
    g, x = op.inputs
    args = (e.at(x, "s8"), e.at(g, "s16"), e.exponent(g), elements(e, op), e.at(op.outputs[0], "s16"))
    return kernel_call("lookup_input_grad_s16", _slopes(e, op), *args, e.scale(op))


def gradient_call_f32(e: Emitter, op: Op) -> list[str]:
    """One kernel and the table of slopes."""
    g, x = op.inputs
    args = (e.at(x, "s8"), e.at(g, "f32"), elements(e, op), e.at(op.outputs[0], "f32"))
    return kernel_call("lookup_input_grad_f32", _slopes(e, op), *args)


def _kind(prepare: Prepare, options: Options | None = None) -> OpKind:
    return OpKind(
        prepare, forward, call, options, rule,
        in_place=(0,), interval=interval.table, reads=channels.channelwise,
    )  # fmt: skip


ABS = _kind(absolute)
ELU = _kind(elu)
HARD_SWISH = _kind(hard_swish)
LEAKY_RELU = _kind(leaky_relu, Options("LeakyReluOptions", {"alpha": "Alpha"}))
TANH = _kind(hyperbolic_tangent)
GRADIENT = GradientKind(
    gradient, real_gradient, gradient_call, gradient_call_f32, in_place=(0,), first_shift=13
)
