"""PRELU: `y = x`, or `alpha x` below 0; alpha is an int8 constant that is broadcast, mostly one a channel."""

from __future__ import annotations

from typing import Any

import numpy as np

from tflm_export.ir import Graph, Op
from tflm_export.ops import channels, check, interval
from tflm_export.ops.arithmetic import Gradient
from tflm_export.ops.call import Call, Mask, Sums, gate
from tflm_export.ops.kind import Backward, Emitter, GradientKind, OpKind
from tflm_export.ops.logistic import SLOPE_BITS, slopes
from tflm_export.ops.requantize import INT8_MAX, INT8_MIN, quantize_multiplier, requantize
from tflm_export.ops.result import Result, Values, centred, clamped, output_quant, tensor_quant
from tflm_export.ops.text import clip_mask, elements, kernel_call, spread_text


def prepare(op: Op, tensors: check.Tensors) -> dict[str, Any]:
    """Multipliers and shifts of x and of `alpha x`."""
    check.arity(op, 2)
    (x, qx), (alpha, qa), (y, qy) = (
        check.activation(op, tensors, name) for name in (*op.inputs, op.outputs[0])
    )
    check.constant(op, tensors, alpha.name, "int8")
    check.shape(op, y, x.shape)
    spreads = np.broadcast_shapes(alpha.shape, (1,) * len(x.shape))
    fits = len(spreads) == len(x.shape) and all(a in (1, n) for a, n in zip(spreads, x.shape, strict=True))
    check.require(fits, op, f"alpha {list(alpha.shape)} does not broadcast to {list(x.shape)}.")
    multiplier, shift = quantize_multiplier(qx.scale[0] / qy.scale[0])
    alpha_multiplier, alpha_shift = quantize_multiplier(qx.scale[0] * qa.scale[0] / qy.scale[0])
    check.headroom(op, 255, [shift])
    check.headroom(op, 255 * 255, [alpha_shift])
    attrs = {"multiplier": multiplier, "shift": shift, "act_min": INT8_MIN, "act_max": INT8_MAX}
    return attrs | {"alpha_multiplier": alpha_multiplier, "alpha_shift": alpha_shift}


def forward(op: Op, graph: Graph, values: Values) -> Result:
    """`acc = x - z_x`, or its product with `alpha - z_alpha`."""
    x, alpha = (centred(graph, values, name) for name in op.inputs)
    above, below = x, x * alpha
    acc = np.where(x >= 0, above, below)
    raw = np.where(
        x >= 0,
        requantize(above, op.attrs["multiplier"], op.attrs["shift"]),
        requantize(below, op.attrs["alpha_multiplier"], op.attrs["alpha_shift"]),
    )
    return clamped(op, acc, raw + output_quant(op, graph).zero_point[0])


def outputs(forward: interval.Forward, op: Op, graph: Graph, given: interval.Intervals) -> interval.Interval:
    """The outputs' interval: a line to 0 and a line from there are least and largest at their ends."""
    name = op.inputs[0]
    low, high, zero = given[name].low, given[name].high, tensor_quant(graph, name).zero_point[0]
    ends = low, high, np.clip(zero, low, high).astype(np.int8)
    found = [forward(op, graph, {name: x}).value for x in ends]
    return interval.Interval(np.minimum.reduce(found), np.maximum.reduce(found))


def call(e: Emitter, op: Op, masks: bool) -> list[str]:
    """One kernel."""
    a, (x, alpha) = op.attrs, op.inputs
    rows = [
        f"{e.zero(x)}, {e.zero(alpha)}, {e.zero(op.outputs[0])},  // zero points",
        f"{a['multiplier']}, {a['alpha_multiplier']}, {a['shift']}, {a['alpha_shift']},",
    ]
    args = (e.at(x, "s8"), e.at(alpha, "s8"), spread_text(e, op, 1), elements(e, op))
    struct = e.struct("Prelu", f"prelu{op.label}", rows)
    return kernel_call("prelu_s8", struct, *args, e.at(op.outputs[0], "s8"), clip_mask(e, op, masks))


def rule(b: Backward, op: Op, g: str, mask: str, wanted: list[str]) -> None:
    """The gradient reads the input; alpha does not train. Raises `ExportError` for an alpha of 4 and more."""
    _slopes(op, b.graph)
    b.gradient("PRELU_INPUT_GRADIENT", op, (g, mask, op.inputs[0]), op.inputs[0], 0)


def _slopes(op: Op, graph: Graph) -> np.ndarray:
    """alpha in Q13, int64 of its shape."""
    alpha = op.inputs[1]
    real = tensor_quant(graph, alpha).dequantize(graph.constant(alpha))
    return np.array(slopes(op, real.reshape(-1)), np.int64).reshape(real.shape)


def _slope(call: Call, x: np.ndarray) -> np.ndarray:
    """The slope at every element in Q13."""
    above = x.astype(np.int64) >= tensor_quant(call.graph, call.forward.inputs[0]).zero_point[0]
    return np.where(above, 1 << SLOPE_BITS, _slopes(call.forward, call.graph))


def gradient(call: Call, g: Gradient, passing: Mask, x: np.ndarray) -> Sums:
    """`g pass slope`, slope in Q13."""
    return Sums(gate(g.values.astype(np.int64), passing) * _slope(call, x), g.exponent - SLOPE_BITS)


def real_gradient(call: Call, g: np.ndarray, passing: Mask, x: np.ndarray) -> np.ndarray:
    """The same in float64 or float32."""
    slope = _slope(call, x).astype(g.dtype) / g.dtype.type(2**SLOPE_BITS)
    result: np.ndarray = gate(g, passing) * slope
    return result


def _operands(e: Emitter, op: Op) -> tuple[object, ...]:
    layer = e.layer(op)
    table = e.tables.add("int16_t", f"slope{op.label}", _slopes(layer, e.graph).reshape(-1))
    return table, spread_text(e, layer, 1), e.zero(layer.inputs[0]), e.at(layer.inputs[0], "s8")


def gradient_call(e: Emitter, op: Op) -> list[str]:
    """One kernel and the table of slopes."""
    g, mask, _ = op.inputs
    args = (e.at(g, "s16"), e.exponent(g), e.at(mask, "bits"), elements(e, op), e.at(op.outputs[0], "s16"))
    return kernel_call("prelu_input_grad_s16", *_operands(e, op), *args, e.scale(op))


def gradient_call_f32(e: Emitter, op: Op) -> list[str]:
    """One kernel and the table of slopes."""
    args = (e.at(op.inputs[0], "f32"), elements(e, op), e.at(op.outputs[0], "f32"))
    return kernel_call("prelu_input_grad_f32", *_operands(e, op), *args)


KIND = OpKind(
    prepare, forward, call, rule=rule,
    masked=True, in_place=(0,), interval=outputs, reads=channels.elementwise,
)  # fmt: skip
GRADIENT = GradientKind(
    gradient, real_gradient, gradient_call, gradient_call_f32, in_place=(0,), first_shift=13
)
