"""TRANSPOSE, STRIDED_SLICE, TILE, RESIZE_NEAREST_NEIGHBOR: every output is one input, its place known.

Where the place is affine in the output's indices one kernel does them all: sizes and strides of up to six
axes, a stride of 0 where an input is repeated.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from tflm_export.ir import Graph, Op
from tflm_export.ops import check, interval
from tflm_export.ops.arithmetic import Gradient, rshift
from tflm_export.ops.call import Call
from tflm_export.ops.kind import Backward, Emitter, GradientKind, OpKind, Options
from tflm_export.ops.result import Result, Values, operand
from tflm_export.ops.text import kernel_call

RANK = 6
Axes = tuple[tuple[int, int], ...]  # size and stride of every axis, the outermost first
Places = Callable[
    [Op, check.Tensors, np.ndarray], np.ndarray
]  # input positions [x] -> of the outputs [y, split]


def _prepare(places: Places, inputs: int) -> Callable[[Op, check.Tensors], dict[str, Any]]:
    """`axes` and `base`: output (i, j, ...) is input `base + i * stride + j * stride ...`."""

    def prepare(op: Op, tensors: check.Tensors) -> dict[str, Any]:
        check.arity(op, inputs)
        check.same_quant(op, tensors, op.inputs[0], op.outputs[0])
        x, y = tensors[op.inputs[0]], tensors[op.outputs[0]]
        found = places(op, tensors, np.arange(x.size).reshape(x.shape))
        check.require(found.size == y.size, op, f"{found.size} values, but the output has {list(y.shape)}.")
        one = x.shape[:1] == y.shape[:1] == (1,)
        check.require(one, op, f"{list(x.shape)} to {list(y.shape)}: the batch axis must stay first, and 1.")
        axes = _axes(found)
        check.require(len(axes) <= RANK, op, f"it takes {len(axes)} axes; allowed: at most {RANK}.")
        return {"axes": axes, "base": int(found.reshape(-1)[0])}

    return prepare


def _axes(places: np.ndarray) -> Axes:
    """Sizes and strides, neighbours joined where they run on."""
    joined: list[tuple[int, int]] = []
    for axis, size in enumerate(places.shape):
        if size == 1:
            continue
        first, second = (places.take(i, axis).reshape(-1)[0] for i in (0, 1))
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


def _transposed(op: Op, tensors: check.Tensors, x: np.ndarray) -> np.ndarray:
    order = check.constant(op, tensors, op.inputs[1], "int32").reshape(-1).tolist()
    inside = all(-x.ndim <= axis < x.ndim for axis in order)
    valid = inside and sorted(axis % x.ndim for axis in order) == list(range(x.ndim))
    check.require(valid, op, f"{order} does not order {x.ndim} axes.")
    return x.transpose(order)


def _sliced(op: Op, tensors: check.Tensors, x: np.ndarray) -> np.ndarray:
    """begin, end and stride of every axis; a bit of `begin_mask` or `end_mask` opens that end."""
    begin, end, stride = (
        check.constant(op, tensors, name, "int32").reshape(-1).tolist() for name in op.inputs[1:]
    )
    a = op.attrs
    plain = not a["ellipsis_mask"] and not a["new_axis_mask"]
    check.require(plain, op, "ellipsis_mask and new_axis_mask are not supported; allowed: 0.")
    check.require(len(begin) == len(end) == len(stride) <= x.ndim, op, "begin, end and strides do not fit.")
    check.require(all(stride), op, "a stride of 0.")
    places: list[slice | int] = []
    for i, (first, last, step) in enumerate(zip(begin, end, stride, strict=True)):
        if a["shrink_axis_mask"] >> i & 1:
            inside = -x.shape[i] <= first < x.shape[i]
            check.require(inside, op, f"index {first} is outside of axis {i} with {x.shape[i]}.")
            places.append(slice(first % x.shape[i], first % x.shape[i] + 1))
            continue
        opened = [a["begin_mask"] >> i & 1, a["end_mask"] >> i & 1]
        places.append(slice(None if opened[0] else first, None if opened[1] else last, step))
    found = x[tuple(places)]
    check.require(found.size > 0, op, "it takes nothing.")
    return found


def _tiled(op: Op, tensors: check.Tensors, x: np.ndarray) -> np.ndarray:
    times = tensors[op.inputs[1]].data
    check.require(
        times is not None and times.size == x.ndim, op, "the multiples must be constant, one an axis."
    )
    assert times is not None
    repeats = [int(n) for n in times.reshape(-1)]
    check.shape(op, tensors[op.outputs[0]], [n * size for n, size in zip(repeats, x.shape, strict=True)])
    return _repeated(x, [(n, 1) for n in repeats])


def _repeated(x: np.ndarray, times: list[tuple[int, int]]) -> np.ndarray:
    """Every axis repeated as a whole, and every element of it in its place; these are axes of their own."""
    around, split, whole = [], [], []
    for size, (outer, inner) in zip(x.shape, times, strict=True):
        around += [1, size, 1]
        whole += [outer, size, inner]
        split.append(size)
    return np.broadcast_to(x.reshape(around), whole)


def _resized(op: Op, tensors: check.Tensors, x: np.ndarray) -> np.ndarray:
    """Nearest neighbour, by whole factors."""
    check.rank(op, tensors[op.inputs[0]], 4)
    size = check.constant(op, tensors, op.inputs[1], "int32").reshape(-1).tolist()
    check.require(len(size) == 2, op, f"size {size}; allowed: height and width.")
    check.shape(op, tensors[op.outputs[0]], [x.shape[0], *size, x.shape[3]])
    check.require(not op.attrs["align_corners"], op, "align_corners is not supported; allowed: false.")
    factors = [new / old for new, old in zip(size, x.shape[1:3], strict=True)]
    whole = all(factor == int(factor) for factor in factors)
    check.require(
        whole, op, f"{list(x.shape[1:3])} to {size}: allowed are whole multiples, as UpSampling2D makes them."
    )
    return _repeated(x, [(1, 1), (1, int(factors[0])), (1, int(factors[1])), (1, 1)])


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


MASKS = ("begin", "end", "ellipsis", "new_axis", "shrink_axis")
SLICE = Options("StridedSliceOptions", {f"{m}_mask": f"{m.title().replace('_', '')}Mask" for m in MASKS})
RESIZE = Options("ResizeNearestNeighborOptions", {"align_corners": "AlignCorners"})
TRANSPOSE = OpKind(_prepare(_transposed, 2), forward, call, rule=rule, interval=interval.monotone)
STRIDED_SLICE = OpKind(_prepare(_sliced, 4), forward, call, SLICE, rule, interval=interval.monotone)
TILE = OpKind(_prepare(_tiled, 2), forward, call, rule=rule, interval=interval.monotone)
RESIZE_NEAREST_NEIGHBOR = OpKind(
    _prepare(_resized, 2), forward, call, RESIZE, rule, interval=interval.monotone
)
GRADIENT = GradientKind(gradient, real_gradient, gradient_call, gradient_call_f32)
