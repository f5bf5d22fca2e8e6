"""RESHAPE, SQUEEZE and EXPAND_DIMS: the same int8 values in another shape."""

from __future__ import annotations

from typing import Any

from tflm_export.ir import Graph, Op
from tflm_export.ops import check
from tflm_export.ops.result import Result, Values, operand


def prepare(op: Op, tensors: check.Tensors) -> dict[str, Any]:
    """Nothing to keep: the output tensor's shape says it all."""
    check.arity(op, 1, 2)
    check.same_quant(op, tensors, op.inputs[0], op.outputs[0])
    x, y = tensors[op.inputs[0]], tensors[op.outputs[0]]
    fits = x.size == y.size
    check.require(fits, op, f"shapes {list(x.shape)} and {list(y.shape)} differ in size.")
    return {}


def forward(op: Op, graph: Graph, values: Values) -> Result:
    """The input, reshaped."""
    x = operand(graph, values, op.inputs[0])
    return Result(x.reshape(-1, *graph.tensors[op.outputs[0]].shape[1:]))
