"""RESIZE_BILINEAR of an int8 map, in whole numbers as TFLite Micro has it: weights in Q10 along each side."""

from __future__ import annotations

from typing import Any

import numpy as np

from tflm_export.ir import Graph, Op
from tflm_export.ops import channels, check, interval
from tflm_export.ops.arithmetic import Gradient, rshift
from tflm_export.ops.call import Call, Sums
from tflm_export.ops.kind import Backward, Emitter, GradientKind, OpKind, Options
from tflm_export.ops.ordered import total
from tflm_export.ops.result import Result, Values, operand
from tflm_export.ops.text import kernel_call

BITS = 10  # of a weight; a pixel's has twice as many
PRODUCT_BITS = 15 + 2 * BITS  # of a gradient and a pixel's weight


def prepare(op: Op, tensors: check.Tensors) -> dict[str, Any]:
    """`scale_h`, `scale_w`: input pixels by output pixel in Q10; `half_pixel`."""
    check.arity(op, 2)
    x, y = tensors[op.inputs[0]], tensors[op.outputs[0]]
    check.same_quant(op, tensors, x.name, y.name)
    check.rank(op, x, 4)
    size = check.constant(op, tensors, op.inputs[1], "int32").reshape(-1).tolist()
    check.require(len(size) == 2, op, f"size {size}; allowed: height and width.")
    check.shape(op, y, [x.shape[0], *size, x.shape[3]])
    align, half = bool(op.attrs["align_corners"]), bool(op.attrs["half_pixel"])
    check.require(not (align and half), op, "align_corners and half_pixel_centers exclude each other.")
    scales = [_scale(*sides, align) for sides in zip(x.shape[1:3], size, strict=True)]
    for before, after, scale in zip(x.shape[1:3], size, scales, strict=True):
        inside = int(_positions(after, scale, half)[-1]) < before << BITS
        check.require(
            inside, op, f"{before} to {after}: the rounded factor leaves the map, in TFLite Micro, too. "
            "Resize by less."
        )  # fmt: skip
    return {"scale_h": scales[0], "scale_w": scales[1], "half_pixel": int(half)}


def _scale(before: int, after: int, align: bool) -> int:
    if align and after > 1:
        before, after = before - 1, after - 1
    return ((before << BITS) + after // 2) // after


def _positions(after: int, scale: int, half: bool) -> np.ndarray:
    """Where the outputs lie in the input, Q10."""
    return np.arange(after) * scale + ((scale // 2 - (1 << BITS - 1)) if half else 0)


def _weights(before: int, after: int, scale: int, half: bool) -> np.ndarray:
    """What every input has in every output, Q10 int64 [after, before]."""
    at = _positions(after, scale, half)
    lower = np.maximum(at >> BITS, 0)
    upper = np.minimum((at + (1 << BITS) - 1) >> BITS, before - 1)
    part = np.where(upper > lower, at - (lower << BITS), 0)
    found, rows = np.zeros((after, before), np.int64), np.arange(after)
    found[rows, upper] = part
    found[rows, lower] += (1 << BITS) - part
    return found


def _sides(op: Op, graph: Graph) -> tuple[np.ndarray, np.ndarray]:
    """The weights along height and width."""
    x, y = (graph.tensors[name].shape[1:3] for name in (op.inputs[0], op.outputs[0]))
    a = op.attrs
    h, w = (_weights(x[i], y[i], a[f"scale_{side}"], a["half_pixel"]) for i, side in enumerate("hw"))
    return h, w


def forward(op: Op, graph: Graph, values: Values) -> Result:
    """Weighted sums, halves away from zero."""
    h, w = _sides(op, graph)
    x = operand(graph, values, op.inputs[0]).astype(np.int64)
    acc = np.einsum("yi,nijc,xj->nyxc", h, x, w, optimize=True)
    y = np.sign(acc) * ((np.abs(acc) + (1 << 2 * BITS - 1)) >> 2 * BITS)
    return Result(y.astype(np.int8))


def rule(b: Backward, op: Op, g: str, mask: str, wanted: list[str]) -> None:
    """The gradient alone says it."""
    b.gradient("BILINEAR_INPUT_GRADIENT", op, (g,), wanted[0])


def _headroom(op: Op, graph: Graph) -> int:
    """Bits that the sums of an input's gradients are moved right by to stay in int32."""
    largest = int(np.prod([side.sum(axis=0).max() for side in _sides(op, graph)]))
    return PRODUCT_BITS - 31 + max(0, (largest - 1).bit_length() - 2 * BITS)


def gradient(call: Call, g: Gradient) -> Sums:
    """`rshift(sum g w, h)`, w in Q20, exponent more by h - 20."""
    h, w = _sides(call.forward, call.graph)
    bits = _headroom(call.forward, call.graph)
    acc = np.einsum("yi,nyxc,xj->nijc", h, g.values.astype(np.int64), w, optimize=True)
    return Sums(rshift(acc, bits), g.exponent - 2 * BITS + bits)


def real_gradient(call: Call, g: np.ndarray) -> np.ndarray:
    """The same in float64 or float32, an input's outputs by row."""
    h, w = (side.astype(g.dtype) / g.dtype.type(1 << BITS) for side in _sides(call.forward, call.graph))
    found = np.zeros(call.in_shape, g.dtype)
    columns = [np.flatnonzero(column) for column in w.T]
    for i, row in enumerate(h.T):
        rows = np.flatnonzero(row)
        for j, across in enumerate(columns):
            if rows.size and across.size:
                weights = row[rows, None] * w[across, j]
                terms = g[0, rows[0] : rows[-1] + 1, across[0] : across[-1] + 1] * weights[..., None]
                found[0, i, j] = total(terms.reshape(-1, g.shape[3]))
    return found


def _struct(e: Emitter, op: Op) -> str:
    a, (_, in_h, in_w, c), (_, out_h, out_w, _) = (
        op.attrs, e.tensor(op.inputs[0]).shape, e.tensor(op.outputs[0]).shape
    )  # fmt: skip
    rows = [
        f"{in_h}, {in_w}, {c}, {out_h}, {out_w},",
        f"{a['scale_h']}, {a['scale_w']}, {str(bool(a['half_pixel'])).lower()},",
    ]
    return e.struct("Bilinear", f"bilinear{op.label}", rows)


def call(e: Emitter, op: Op, masks: bool) -> list[str]:
    """One kernel."""
    x, y = e.at(op.inputs[0], "s8"), e.at(op.outputs[0], "s8")
    return kernel_call("resize_bilinear_s8", _struct(e, op), x, y)


def gradient_call(e: Emitter, op: Op) -> list[str]:
    """One kernel."""
    layer, g = e.layer(op), op.inputs[0]
    args = (e.at(g, "s16"), e.exponent(g), _headroom(layer, e.graph), e.at(op.outputs[0], "s16"), e.scale(op))
    return kernel_call("resize_bilinear_input_grad_s16", _struct(e, layer), *args)


def gradient_call_f32(e: Emitter, op: Op) -> list[str]:
    """One kernel."""
    g, g_x = e.at(op.inputs[0], "f32"), e.at(op.outputs[0], "f32")
    return kernel_call("resize_bilinear_input_grad_f32", _struct(e, e.layer(op)), g, g_x)


OPTIONS = Options(
    "ResizeBilinearOptions", {"align_corners": "AlignCorners", "half_pixel": "HalfPixelCenters"}
)
KIND = OpKind(
    prepare, forward, call, OPTIONS, rule, interval=interval.monotone, reads=channels.channelwise
)  # fmt: skip
GRADIENT = GradientKind(gradient, real_gradient, gradient_call, gradient_call_f32, first_shift=16)
