"""REDUCE_MAX over H and W (of a row: W) of an int8 map, global max pooling; `simplify` makes it a pool."""

from __future__ import annotations

from typing import Any

from tflm_export.ir import Graph, Op
from tflm_export.ops import check
from tflm_export.ops.kind import OpKind
from tflm_export.ops.mean import REDUCER, reduced_axes
from tflm_export.ops.result import Result, Values, operand


def prepare(op: Op, tensors: check.Tensors) -> dict[str, Any]:
    """`axes`, `keep_dims`."""
    check.same_quant(op, tensors, op.inputs[0], op.outputs[0])
    axes = reduced_axes(op, tensors)
    x = tensors[op.inputs[0]]
    ok = len(x.shape) in (3, 4) and axes == tuple(range(1, len(x.shape) - 1)) and max(x.shape[1:-1]) < 256
    allowed = "allowed: height and width of a map, the steps of a row"
    check.require(ok, op, f"axes {axes} of shape {list(x.shape)} are not supported; {allowed}.")
    return {"axes": axes, "keep_dims": bool(op.attrs["keep_dims"])}


def forward(op: Op, graph: Graph, values: Values) -> Result:
    """The largest pixel of every channel."""
    x = operand(graph, values, op.inputs[0])
    return Result(x.max(axis=op.attrs["axes"], keepdims=op.attrs["keep_dims"]))


KIND = OpKind(prepare, forward, options=REDUCER)
