"""MEAN over some axes of an int8 tensor (global average pooling)."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from tflm_export.errors import ExportError
from tflm_export.ir import Graph, Op
from tflm_export.ops import channels, check, interval
from tflm_export.ops.arithmetic import Gradient, fraction_q15, rshift
from tflm_export.ops.broadcast import reduce
from tflm_export.ops.call import Call
from tflm_export.ops.kind import Backward, Emitter, GradientKind, OpKind, Options
from tflm_export.ops.requantize import INT8_MAX, INT8_MIN, quantize_multiplier, requantize
from tflm_export.ops.result import Result, Values, centred, output_quant
from tflm_export.ops.text import kernel_call, requantize_struct

REDUCER = Options("ReducerOptions", {"keep_dims": "KeepDims"})


def prepare(op: Op, tensors: check.Tensors) -> dict[str, Any]:
    """`axes` sorted, from the front; `count` elements a mean; multiplier and shift with 1/count in them."""
    axes = reduced_axes(op, tensors)
    (x, qx), (_, qy) = (check.activation(op, tensors, name) for name in (op.inputs[0], op.outputs[0]))
    count = math.prod(x.shape[axis] for axis in axes)
    multiplier, shift = mean_multiplier(qx.scale[0] / qy.scale[0], count)
    check.headroom(op, 255 * count, [shift])
    return {
        "axes": axes,
        "keep_dims": bool(op.attrs["keep_dims"]),
        "count": count,
        "multiplier": multiplier,
        "shift": shift,
    }


def reduced_axes(op: Op, tensors: check.Tensors) -> tuple[int, ...]:
    """The axes of a reduction, sorted, from the front; checks the output's shape."""
    check.arity(op, 2)
    x, y = tensors[op.inputs[0]], tensors[op.outputs[0]]
    rank = len(x.shape)
    given = check.constant(op, tensors, op.inputs[1], "int32").reshape(-1).tolist()
    axes = tuple(sorted({axis + rank if axis < 0 else axis for axis in given}))
    ok = bool(axes) and axes[0] > 0 and axes[-1] < rank
    check.require(ok, op, f"axes {given[:8]} are not supported; allowed: 1 to {rank - 1}.")
    kept = [1 if i in axes else d for i, d in enumerate(x.shape)]
    dropped = [d for i, d in enumerate(x.shape) if i not in axes]
    check.shape(op, y, kept if op.attrs["keep_dims"] else dropped)
    return axes


def mean_multiplier(real: float, count: int) -> tuple[int, int]:
    """Multiplier and shift of `real / count`, divided as integers the way TFLite does."""
    multiplier, shift = quantize_multiplier(real)
    bits = min(count.bit_length() - 1, 32, 31 + shift)
    return (multiplier << bits) // count, shift - bits


def forward(op: Op, graph: Graph, values: Values) -> Result:
    """`y = z_y + (s_x / s_y / n) sum (x - z_x)`."""
    x = centred(graph, values, op.inputs[0])
    acc = x.sum(axis=op.attrs["axes"], keepdims=op.attrs["keep_dims"])
    raw = requantize(acc, op.attrs["multiplier"], op.attrs["shift"]) + output_quant(op, graph).zero_point[0]
    return Result(np.clip(raw, INT8_MIN, INT8_MAX).astype(np.int8))


def rule(b: Backward, op: Op, g: str, mask: str, wanted: list[str]) -> None:
    """The gradient alone says it."""
    b.gradient("MEAN_INPUT_GRADIENT", op, (g,), wanted[0])


def reduce_text(e: Emitter, op: Op) -> str:
    """The `Reduce` of forward op `op`. Raises `ExportError` where the kernel has none."""
    shape = e.tensor(op.inputs[0]).shape
    found = reduce(shape, op.attrs["axes"])
    if found is None:
        raise ExportError(
            f"{check.where(op)}: axes {op.attrs['axes']} of {list(shape)} are not supported; allowed: at "
            "most two stretches of neighbouring axes."
        )
    return f"{{{', '.join(map(str, found))}}}"


def call(e: Emitter, op: Op, masks: bool) -> list[str]:
    """One kernel."""
    x, y = e.at(op.inputs[0], "s8"), e.at(op.outputs[0], "s8")
    return kernel_call("mean_s8", requantize_struct(e, op), reduce_text(e, op), x, y)


def gradient(call: Call, g: Gradient) -> Gradient:
    """`rshift(g F, 15)` to every position."""
    factor, exponent = fraction_q15(1 / call.forward.attrs["count"])
    values = rshift(g.values.astype(np.int64) * factor, 15).astype(np.int16)
    return Gradient(_everywhere(call, values), g.exponent + exponent)


def real_gradient(call: Call, g: np.ndarray) -> np.ndarray:
    """The same in float64 or float32."""
    return _everywhere(call, g / call.forward.attrs["count"])


def _everywhere(call: Call, values: np.ndarray) -> np.ndarray:
    """Values of the output's shape at every position of the input."""
    axes = call.forward.attrs["axes"]
    kept = [1 if i in axes else size for i, size in enumerate(call.in_shape)]
    return np.broadcast_to(values.reshape(kept), call.in_shape).copy()


def gradient_call(e: Emitter, op: Op) -> list[str]:
    """One kernel."""
    g, layer = op.inputs[0], e.layer(op)
    factor, exponent = fraction_q15(1 / layer.attrs["count"])
    args = (e.at(g, "s16"), e.exponent(g), reduce_text(e, layer), e.at(op.outputs[0], "s16"), e.scale(op))
    return kernel_call("mean_input_grad_s16", factor, exponent, *args)


def gradient_call_f32(e: Emitter, op: Op) -> list[str]:
    """One kernel."""
    args = (e.at(op.inputs[0], "f32"), reduce_text(e, e.layer(op)), e.at(op.outputs[0], "f32"))
    return kernel_call("mean_input_grad_f32", *args)


KIND = OpKind(prepare, forward, call, REDUCER, rule, interval=interval.monotone, reads=channels.reduced)
GRADIENT = GradientKind(gradient, real_gradient, gradient_call, gradient_call_f32)
