"""CONCATENATION of int8 tensors of one quantisation, and PACK, which joins them along a new axis."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from tflm_export.ir import Graph, Op
from tflm_export.ops import channels, check, interval
from tflm_export.ops.arithmetic import Gradient
from tflm_export.ops.call import Call
from tflm_export.ops.kind import Backward, Emitter, GradientKind, OpKind, Options
from tflm_export.ops.result import Result, Values, operand
from tflm_export.ops.shared import positions
from tflm_export.ops.text import FUSED, kernel_call


def prepare(op: Op, tensors: check.Tensors) -> dict[str, Any]:
    """The axis, counted from the front."""
    check.arity(op, 1, 64)
    check.require(all(op.inputs), op, "an input is missing.")
    act = op.attrs["activation"]
    check.require(
        act == "NONE", op, f"a fused {act} is not supported, nor by TFLite Micro; allowed: NONE. "
        f"Put the {act} behind it as a layer of its own."
    )  # fmt: skip
    y = tensors[op.outputs[0]]
    rank, axis = len(y.shape), op.attrs["axis"]
    axis = axis + rank if axis < 0 else axis
    check.require(0 < axis < rank, op, f"axis {op.attrs['axis']} is not supported; allowed: 1 to {rank - 1}.")
    shapes = [tensors[name].shape for name in op.inputs]
    for name in op.inputs:
        check.same_quant(op, tensors, name, op.outputs[0])
        check.rank(op, tensors[name], rank)
    expected = [*shapes[0][:axis], sum(s[axis] for s in shapes), *shapes[0][axis + 1 :]]
    for name, s in zip(op.inputs, shapes, strict=True):
        check.shape(op, tensors[name], [*expected[:axis], s[axis], *expected[axis + 1 :]])
    check.shape(op, y, expected)
    return {"axis": axis}


def prepare_pack(op: Op, tensors: check.Tensors) -> dict[str, Any]:
    """The new axis, counted from the front."""
    check.arity(op, 1, 64)
    check.require(all(op.inputs), op, "an input is missing.")
    count = op.attrs["count"]
    check.require(count == len(op.inputs), op, f"packs {count} values, but has {len(op.inputs)} inputs.")
    shape = tensors[op.inputs[0]].shape
    rank, axis = len(shape) + 1, op.attrs["axis"]
    axis = axis + rank if axis < 0 else axis
    check.require(0 < axis < rank, op, f"axis {op.attrs['axis']} is not supported; allowed: 1 to {rank - 1}.")
    for name in op.inputs:
        check.same_quant(op, tensors, name, op.outputs[0])
        check.shape(op, tensors[name], shape)
    check.shape(op, tensors[op.outputs[0]], (*shape[:axis], len(op.inputs), *shape[axis:]))
    return {"axis": axis}


def forward(op: Op, graph: Graph, values: Values) -> Result:
    """The inputs one after the other along `axis`; constants are repeated over the batch."""
    return Result(np.concatenate(_parts(op, graph, values), axis=op.attrs["axis"]))


def forward_pack(op: Op, graph: Graph, values: Values) -> Result:
    """The same along a new axis."""
    return Result(np.stack(_parts(op, graph, values), axis=op.attrs["axis"]))


def _parts(op: Op, graph: Graph, values: Values) -> list[np.ndarray]:
    parts = [operand(graph, values, name) for name in op.inputs]
    batch = max(map(len, parts))
    return [p if len(p) == batch else np.repeat(p, batch // len(p), axis=0) for p in parts]


def rule(b: Backward, op: Op, g: str, mask: str, wanted: list[str]) -> None:
    """Each input's slice."""
    for position, name in positions(op, wanted):
        b.gradient("CONCATENATION_INPUT_GRADIENT", op, (g,), name, position)


def _blocks(e: Emitter, op: Op, position: int) -> tuple[int, int, int, int]:
    """outer, inner, total, offset of one input."""
    axis, shapes = op.attrs["axis"], [e.tensor(name).shape for name in op.inputs]
    inners = [math.prod(s[axis:]) for s in shapes]
    outer = math.prod(shapes[0][:axis])
    return outer, inners[position], sum(inners), sum(inners[:position])


def call(e: Emitter, op: Op, masks: bool) -> list[str]:
    """One kernel an input."""
    lines = []
    for position, name in enumerate(op.inputs):
        shape = _blocks(e, op, position)
        lines += kernel_call("concatenation_s8", e.at(name, "s8"), *shape, e.at(op.outputs[0], "s8"))
    return lines


def _slice(call: Call) -> tuple[slice | int, ...]:
    """The part of the output that one input fills."""
    axis, position = call.forward.attrs["axis"], call.op.attrs["position"]
    if call.forward.kind == "PACK":
        return (*(slice(None),) * axis, position)
    sizes = [call.graph.tensors[name].shape[axis] for name in call.forward.inputs]
    start = sum(sizes[:position])
    return (*(slice(None),) * axis, slice(start, start + sizes[position]))


def gradient(call: Call, g: Gradient) -> Gradient:
    """Sliced."""
    return Gradient(g.values[_slice(call)], g.exponent)


def real_gradient(call: Call, g: np.ndarray) -> np.ndarray:
    """The same in float64 or float32."""
    return g[_slice(call)]


def gradient_call(e: Emitter, op: Op) -> list[str]:
    """One kernel."""
    shape = _blocks(e, e.layer(op), op.attrs["position"])
    args = (e.at(op.inputs[0], "s16"), *shape, e.at(op.outputs[0], "s16"))
    return kernel_call("concatenation_input_grad_s16", *args)


def gradient_call_f32(e: Emitter, op: Op) -> list[str]:
    """One kernel."""
    shape = _blocks(e, e.layer(op), op.attrs["position"])
    args = (e.at(op.inputs[0], "f32"), *shape, e.at(op.outputs[0], "f32"))
    return kernel_call("concatenation_input_grad_f32", *args)


KIND = OpKind(
    prepare, forward, call, Options("ConcatenationOptions", FUSED | {"axis": "Axis"}), rule,
    interval=interval.monotone, reads=channels.joined,
)  # fmt: skip
PACK = OpKind(
    prepare_pack,
    forward_pack,
    call,
    Options("PackOptions", {"axis": "Axis", "count": "ValuesCount"}),
    rule,
    interval=interval.monotone,
)
GRADIENT = GradientKind(gradient, real_gradient, gradient_call, gradient_call_f32, same_exponent=True)
