"""CONCATENATION of int8 tensors of one quantisation."""

from __future__ import annotations

from typing import Any

import numpy as np

from tflm_export.ir import Graph, Op
from tflm_export.ops import check
from tflm_export.ops.result import Result, Values, operand


def prepare(op: Op, tensors: check.Tensors) -> dict[str, Any]:
    """The axis, counted from the front."""
    check.arity(op, 1, 64)
    check.require(all(op.inputs), op, "an input is missing.")
    check.require(check.fused(op) == "NONE", op, "a fused activation is not supported.")
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


def forward(op: Op, graph: Graph, values: Values) -> Result:
    """The inputs one after the other along `axis`; constants are repeated over the batch."""
    parts = [operand(graph, values, name) for name in op.inputs]
    batch = max(map(len, parts))
    parts = [p if len(p) == batch else np.repeat(p, batch // len(p), axis=0) for p in parts]
    return Result(np.concatenate(parts, axis=op.attrs["axis"]))
