"""Ops that only move values: every output is one input, its place (`places.py`) known when compiling.

Where the place is affine in the output's indices one kernel does them all: sizes and strides of up to six
axes, a stride of 0 where an input is repeated.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from tflm_export.ir import Graph, Op
from tflm_export.ops import check, interval, places
from tflm_export.ops.arithmetic import Gradient, rshift
from tflm_export.ops.call import Call
from tflm_export.ops.kind import Backward, Emitter, GradientKind, OpKind, Options
from tflm_export.ops.result import Result, Values, operand
from tflm_export.ops.text import kernel_call

RANK = 6
Axes = tuple[tuple[int, int], ...]  # size and stride of every axis, the outermost first
Places = Callable[[Op, check.Tensors, np.ndarray], np.ndarray]  # input positions -> those of the outputs


def _prepare(where: Places, inputs: int) -> Callable[[Op, check.Tensors], dict[str, Any]]:
    """`axes` and `base`: output (i, j, ...) is input `base + i * stride + j * stride ...`."""

    def prepare(op: Op, tensors: check.Tensors) -> dict[str, Any]:
        check.arity(op, inputs)
        check.same_quant(op, tensors, op.inputs[0], op.outputs[0])
        x, y = tensors[op.inputs[0]], tensors[op.outputs[0]]
        found = where(op, tensors, np.arange(x.size).reshape(x.shape))
        check.require(found.size == y.size, op, f"{found.size} values, but the output has {list(y.shape)}.")
        one = x.shape[:1] == y.shape[:1] == (1,)
        check.require(one, op, f"{list(x.shape)} to {list(y.shape)}: the batch axis must stay first, and 1.")
        axes = _axes(found)
        check.require(len(axes) <= RANK, op, f"it takes {len(axes)} axes; allowed: at most {RANK}.")
        return {"axes": axes, "base": int(found.reshape(-1)[0])}

    return prepare


def _axes(found: np.ndarray) -> Axes:
    """Sizes and strides, neighbours joined where they run on."""
    joined: list[tuple[int, int]] = []
    for axis, size in enumerate(found.shape):
        if size == 1:
            continue
        first, second = (found.take(i, axis).reshape(-1)[0] for i in (0, 1))
        stride = int(second - first)
        if joined and joined[-1][1] == stride * size:
            size *= joined.pop()[0]
        joined.append((size, stride))
    return tuple(joined)


def _indices(axes: Axes, base: int) -> np.ndarray:
    """Input position of every output, flat."""
    found = np.full(1, base)
    for size, stride in axes:
        found = (found[:, None] + stride * np.arange(size)).reshape(-1)
    return found


def forward(op: Op, graph: Graph, values: Values) -> Result:
    """Every output from its place."""
    x = operand(graph, values, op.inputs[0])
    flat = x.reshape(len(x), -1)[:, _indices(op.attrs["axes"], op.attrs["base"])]
    return Result(flat.reshape(-1, *graph.tensors[op.outputs[0]].shape[1:]))


def _struct(e: Emitter, op: Op) -> str:
    """`constexpr tfodl::Strided strided5`: six axes, the outermost first."""
    axes = ((1, 0),) * (RANK - len(op.attrs["axes"])) + op.attrs["axes"]
    sizes, strides = (", ".join(str(axis[i]) for axis in axes) for i in (0, 1))
    rows = [f"{{{sizes}}}, {{{strides}}}, {op.attrs['base']},  // sizes, strides, first"]
    return e.struct("Strided", f"strided{op.label}", rows)


def call(e: Emitter, op: Op, masks: bool) -> list[str]:
    """One kernel."""
    return kernel_call("move_s8", _struct(e, op), e.at(op.inputs[0], "s8"), e.at(op.outputs[0], "s8"))


def rule(b: Backward, op: Op, g: str, mask: str, wanted: list[str]) -> None:
    """The gradient alone says it."""
    b.gradient("MOVE_INPUT_GRADIENT", op, (g,), wanted[0])


def _headroom(op: Op) -> int:
    """Bits that gradients lose so that those of one input can be added in int16; 0 where each has one."""
    times = math.prod(size for size, stride in op.attrs["axes"] if stride == 0)
    return (times - 1).bit_length() + 1 if times > 1 else 0


def _summed(call: Call, values: np.ndarray) -> np.ndarray:
    """What comes to every input, in the order of the outputs."""
    found = np.zeros(math.prod(call.in_shape), values.dtype)
    attrs = call.forward.attrs
    np.add.at(found, _indices(attrs["axes"], attrs["base"]), values.reshape(-1))
    return found.reshape(call.in_shape)


def gradient(call: Call, g: Gradient) -> Gradient:
    """To its place, added up where an input was repeated: `sum rshift(g, h)`, exponent more by h."""
    bits = _headroom(call.forward)
    values = _summed(call, rshift(g.values.astype(np.int64), bits))
    return Gradient(values.astype(np.int16), g.exponent + bits)


def real_gradient(call: Call, g: np.ndarray) -> np.ndarray:
    """The same in float64 or float32."""
    return _summed(call, g)


def gradient_call(e: Emitter, op: Op) -> list[str]:
    """One kernel."""
    layer, g = e.layer(op), op.inputs[0]
    size, bits = e.tensor(op.outputs[0]).size, _headroom(layer)
    args = (e.at(g, "s16"), e.exponent(g), bits, size, e.at(op.outputs[0], "s16"), e.scale(op))
    return kernel_call("move_input_grad_s16", _struct(e, layer), *args)


def gradient_call_f32(e: Emitter, op: Op) -> list[str]:
    """One kernel."""
    args = (e.at(op.inputs[0], "f32"), e.tensor(op.outputs[0]).size, e.at(op.outputs[0], "f32"))
    return kernel_call("move_input_grad_f32", _struct(e, e.layer(op)), *args)


def _kind(where: Places, inputs: int, options: Options | None = None) -> OpKind:
    return OpKind(_prepare(where, inputs), forward, call, options, rule, interval=interval.monotone)


MASKS = ("begin", "end", "ellipsis", "new_axis", "shrink_axis")
STRIDED = Options("StridedSliceOptions", {f"{m}_mask": f"{m.title().replace('_', '')}Mask" for m in MASKS})
RESIZE = Options("ResizeNearestNeighborOptions", {"align_corners": "AlignCorners"})
BLOCK = {"block_size": "BlockSize"}
BROADCAST_TO = _kind(places.broadcast, 2)
DEPTH_TO_SPACE = _kind(places.depth_to_space, 1, Options("DepthToSpaceOptions", BLOCK))
RESIZE_NEAREST_NEIGHBOR = _kind(places.resized, 2, RESIZE)
SLICE = _kind(places.sliced, 3)
SPACE_TO_DEPTH = _kind(places.space_to_depth, 1, Options("SpaceToDepthOptions", BLOCK))
SPLIT = _kind(places.split, 2, Options("SplitOptions", {"count": "NumSplits"}))
SPLIT_V = _kind(places.split_by_sizes, 3, Options("SplitVOptions", {"count": "NumSplits"}))
STRIDED_SLICE = _kind(places.strided, 4, STRIDED)
TILE = _kind(places.tiled, 2)
TRANSPOSE = _kind(places.transposed, 2)
UNPACK = _kind(places.unpacked, 1, Options("UnpackOptions", {"axis": "Axis", "count": "Num"}))
GRADIENT = GradientKind(gradient, real_gradient, gradient_call, gradient_call_f32)
