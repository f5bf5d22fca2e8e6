"""AVERAGE_POOL_2D and MAX_POOL_2D: x [N, H, W, C] int8 -> y [N, P, Q, C] int8, padding not counted."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from tflm_export.ir import Graph, Op
from tflm_export.ops import channels, check, interval, window
from tflm_export.ops.arithmetic import Gradient, fraction_q15, rshift
from tflm_export.ops.call import Call, Sums
from tflm_export.ops.kind import Backward, Emitter, GradientKind, OpKind, Options
from tflm_export.ops.requantize import INT8_MIN, activation_range
from tflm_export.ops.result import Result, Values, operand
from tflm_export.ops.text import FUSED, kernel_call

STRIDES = {"stride_h": "StrideH", "stride_w": "StrideW", "padding": "Padding"}


def prepare(op: Op, tensors: check.Tensors) -> dict[str, Any]:
    """Kernel, stride, padding and clamp."""
    check.arity(op, 1)
    check.same_quant(op, tensors, op.inputs[0], op.outputs[0], tolerance=1e-6)
    x, (y, qy) = tensors[op.inputs[0]], check.activation(op, tensors, op.outputs[0])
    attrs: dict[str, Any] = dict(window.resolve(op, x, y, (op.attrs["k_h"], op.attrs["k_w"])))
    check.shape(op, y, (*y.shape[:3], x.shape[3]))
    check.require(y.size * attrs["k_h"] * attrs["k_w"] <= check.MAX_MACS, op, "too many sums.")
    act_min, act_max = activation_range(check.fused(op), qy)
    return attrs | {"act_min": act_min, "act_max": act_max}


def average(op: Op, graph: Graph, values: Values) -> Result:
    """Mean over the window's pixels inside the map, halves away from zero."""
    x = operand(graph, values, op.inputs[0]).astype(np.int64)
    size = graph.tensors[op.outputs[0]].shape[1:3]
    inside = window.pad_map(np.ones((1, *x.shape[1:3], 1), np.int64), op, 0)
    total = _sum(window.pad_map(x, op, 0), op, size)
    count = _sum(inside, op, size)
    half_up = (np.abs(total) + count // 2) // count
    return _clamp(op, np.sign(total) * half_up)


def maximum(op: Op, graph: Graph, values: Values) -> Result:
    """Largest pixel of the window."""
    x = window.pad_map(operand(graph, values, op.inputs[0]), op, INT8_MIN)
    size = graph.tensors[op.outputs[0]].shape[1:3]
    seen = (view for _, _, view in window.taps(x, op, size))
    out = next(seen)
    for view in seen:
        out = np.maximum(out, view)
    return _clamp(op, out)


def _sum(x: np.ndarray, op: Op, size: tuple[int, ...]) -> np.ndarray:
    total = np.zeros((len(x), *size, x.shape[3]), np.int64)
    for _, _, seen in window.taps(x, op, size):
        total += seen
    return total


def _clamp(op: Op, y: np.ndarray) -> Result:
    return Result(np.clip(y, op.attrs["act_min"], op.attrs["act_max"]).astype(np.int8))


def average_rule(b: Backward, op: Op, g: str, mask: str, wanted: list[str]) -> None:
    """The gradient alone says it."""
    b.gradient("AVERAGE_POOL_2D_INPUT_GRADIENT", op, (g,), wanted[0])


def max_rule(b: Backward, op: Op, g: str, mask: str, wanted: list[str]) -> None:
    """The input says which pixel was the largest."""
    b.gradient("MAX_POOL_2D_INPUT_GRADIENT", op, (g, op.inputs[0]), wanted[0])


def _padded(call: Call) -> tuple[int, int, int, int]:
    a, (n, h, w, c) = call.forward.attrs, call.in_shape
    return n, h + a["pad_top"] + a["pad_bottom"], w + a["pad_left"] + a["pad_right"], c


def _windows(call: Call, padded: np.ndarray) -> Iterator[np.ndarray]:
    """Views [1, P, Q, C] of the padded input map, one a tap, row-major."""
    size = call.graph.tensors[call.forward.outputs[0]].shape[1:3]
    return (view for _, _, view in window.taps(padded, call.forward, size))


def _inside(call: Call, padded: np.ndarray) -> np.ndarray:
    """The map without its padding."""
    a, (_, h, w, _) = call.forward.attrs, call.in_shape
    return padded[:, a["pad_top"] : a["pad_top"] + h, a["pad_left"] : a["pad_left"] + w]


def _counts(call: Call) -> np.ndarray:
    """Pixels that every window holds, int64 [1, P, Q, 1]."""
    ones = np.zeros(_padded(call), np.int64)
    _inside(call, ones)[...] = 1
    total = np.zeros(call.graph.tensors[call.forward.outputs[0]].shape, np.int64)
    for view in _windows(call, ones):
        total += view
    return total


def _finished(call: Call, acc: np.ndarray, exponent: int) -> Sums | Gradient:
    """Windows that lie apart and whole give int16 at once; others need the shift rule."""
    a = call.forward.attrs
    apart = a["stride_h"] >= a["k_h"] and a["stride_w"] >= a["k_w"]
    padded = any(a[side] for side in ("pad_top", "pad_left", "pad_bottom", "pad_right"))
    return Gradient(acc.astype(np.int16), exponent) if apart and not padded else Sums(acc, exponent)


def average_gradient(call: Call, g: Gradient) -> Sums | Gradient:
    """AVERAGE_POOL_2D: every pixel gets its windows' `rshift(g F, 15) << (k_c - k)`."""
    counts = _counts(call)
    full = fraction_q15(1 / (call.forward.attrs["k_h"] * call.forward.attrs["k_w"]))[1]
    shares = np.zeros(g.values.shape, np.int64)
    for count in np.unique(counts):
        factor, exponent = fraction_q15(1 / int(count))
        share = rshift(g.values.astype(np.int64) * factor, 15) << (exponent - full)
        shares = np.where(counts == count, share, shares)
    return _finished(call, _scatter(call, shares, None), g.exponent + full)


def real_average_gradient(call: Call, g: np.ndarray) -> np.ndarray:
    """The same in float64 or float32."""
    return _scatter(call, g / _counts(call).astype(g.dtype), None)


def _scatter(call: Call, shares: np.ndarray, owner: np.ndarray | None) -> np.ndarray:
    """Sum `shares` [1, P, Q, C] over the windows; with `owner`, only at that tap of each window.

    The last tap first: a pixel takes its windows in row-major order, as the float32 kernels do.
    """
    padded = np.zeros(_padded(call), shares.dtype)
    for tap, view in reversed(list(enumerate(_windows(call, padded)))):
        view += shares if owner is None else shares * (owner == tap)
    return _inside(call, padded)


def _first_maximum(call: Call, x: np.ndarray) -> np.ndarray:
    """The tap that holds each window's first maximum, [1, P, Q, C]; padding never wins."""
    padded = np.full(_padded(call), -129, np.int64)
    _inside(call, padded)[...] = x
    result: np.ndarray = np.stack(list(_windows(call, padded))).argmax(0)
    return result


def max_gradient(call: Call, g: Gradient, x: np.ndarray) -> Sums | Gradient:
    """MAX_POOL_2D: to the first maximum in row-major order."""
    moved = _scatter(call, g.values.astype(np.int64), _first_maximum(call, x))
    return _finished(call, moved, g.exponent)


def real_max_gradient(call: Call, g: np.ndarray, x: np.ndarray) -> np.ndarray:
    """The same in float64 or float32."""
    return _scatter(call, g, _first_maximum(call, x))


def pool_struct(e: Emitter, op: Op) -> str:
    """`constexpr tfodl::Pool pool5`."""
    a, (_, h, w, c) = op.attrs, e.tensor(op.inputs[0]).shape
    _, p, q, _ = e.tensor(op.outputs[0]).shape
    rows = [
        f"{h}, {w}, {c}, {p}, {q},",
        f"{a['k_h']}, {a['k_w']}, {a['stride_h']}, {a['stride_w']}, {a['pad_top']}, {a['pad_left']},"
        "  // kernel, stride, padding before",
        f"{a['act_min']}, {a['act_max']},",
    ]
    return e.struct("Pool", f"pool{op.label}", rows)


def call(e: Emitter, op: Op, masks: bool) -> list[str]:
    """One kernel."""
    name = "max_pool_s8" if op.kind == "MAX_POOL_2D" else "average_pool_s8"
    return kernel_call(name, pool_struct(e, op), e.at(op.inputs[0], "s8"), e.at(op.outputs[0], "s8"))


def _share_tables(e: Emitter, op: Op) -> tuple[str, str]:
    """Tables of Q15 factors and exponents of 1/count for count = 1..k_h k_w."""
    largest = op.attrs["k_h"] * op.attrs["k_w"]
    pairs = [fraction_q15(1 / count) for count in range(1, largest + 1)]
    factors = e.tables.add("int16_t", f"pool_factor{op.label}", [f for f, _ in pairs])
    return factors, e.tables.add("int16_t", f"pool_exponent{op.label}", [k for _, k in pairs])


def average_gradient_call(e: Emitter, op: Op) -> list[str]:
    """One kernel and two tables."""
    g, layer = op.inputs[0], e.layer(op)
    args = (e.at(g, "s16"), e.exponent(g), e.at(op.outputs[0], "s16"), e.scale(op))
    name = "average_pool_input_grad_s16"
    return kernel_call(name, pool_struct(e, layer), *_share_tables(e, layer), *args)


def average_gradient_call_f32(e: Emitter, op: Op) -> list[str]:
    """One kernel."""
    args = (pool_struct(e, e.layer(op)), e.at(op.inputs[0], "f32"), e.at(op.outputs[0], "f32"))
    return kernel_call("average_pool_input_grad_f32", *args)


def max_gradient_call(e: Emitter, op: Op) -> list[str]:
    """One kernel."""
    g, x = op.inputs
    args = (e.at(x, "s8"), e.at(g, "s16"), e.exponent(g), e.at(op.outputs[0], "s16"), e.scale(op))
    return kernel_call("max_pool_input_grad_s16", pool_struct(e, e.layer(op)), *args)


def max_gradient_call_f32(e: Emitter, op: Op) -> list[str]:
    """One kernel."""
    g, x = op.inputs
    args = (pool_struct(e, e.layer(op)), e.at(x, "s8"), e.at(g, "f32"), e.at(op.outputs[0], "f32"))
    return kernel_call("max_pool_input_grad_f32", *args)


OPTIONS = Options("Pool2DOptions", STRIDES | FUSED | {"k_h": "FilterHeight", "k_w": "FilterWidth"})
AVERAGE = OpKind(
    prepare, average, call, OPTIONS, average_rule, interval=interval.monotone, reads=channels.channelwise
)
MAX = OpKind(
    prepare, maximum, call, OPTIONS, max_rule, interval=interval.monotone, reads=channels.channelwise
)
AVERAGE_GRADIENT = GradientKind(
    average_gradient, real_average_gradient, average_gradient_call, average_gradient_call_f32
)
MAX_GRADIENT = GradientKind(max_gradient, real_max_gradient, max_gradient_call, max_gradient_call_f32)
