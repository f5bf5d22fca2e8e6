"""READ_VARIABLE and ASSIGN_VARIABLE, the variables of streaming nets: int8 bytes, whatever their scales.

`front/variables.py` has made states of the variables: a read is the state's bytes, an assignment
(value, state) -> next writes them over, and COPY keeps what it would overwrite.
"""

from __future__ import annotations

from typing import Any

from tflm_export.ir import Graph, Op
from tflm_export.ops import check
from tflm_export.ops.kind import Emitter, OpKind
from tflm_export.ops.result import Result, Values, operand
from tflm_export.ops.text import kernel_call


def prepare(op: Op, tensors: check.Tensors) -> dict[str, Any]:
    """Nothing to keep; all tensors have one shape."""
    check.arity(op, 1, 2)
    for name in (*op.inputs, *op.outputs):
        check.activation(op, tensors, name)
        check.shape(op, tensors[name], tensors[op.outputs[0]].shape)
    return {}


def forward(op: Op, graph: Graph, values: Values) -> Result:
    """The value itself."""
    return Result(operand(graph, values, op.inputs[0]))


def call(e: Emitter, op: Op, masks: bool) -> list[str]:
    """One copy: a concatenation of one part."""
    size = e.tensor(op.outputs[0]).size
    return kernel_call(
        "concatenation_s8", e.at(op.inputs[0], "s8"), 1, size, size, 0, e.at(op.outputs[0], "s8")
    )


ASSIGN = OpKind(prepare, forward, call, over=1)
COPY = OpKind(prepare, forward, call)
READ = OpKind(prepare, forward, view=True)
