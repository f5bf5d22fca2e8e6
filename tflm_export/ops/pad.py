"""PAD and PADV2: a constant around an int8 tensor."""

from __future__ import annotations

from typing import Any

import numpy as np

from tflm_export.ir import Graph, Op
from tflm_export.ops import check
from tflm_export.ops.result import Result, Values, operand


def prepare(op: Op, tensors: check.Tensors) -> dict[str, Any]:
    """`padding`: (before, after) of every dimension; `value`: what is put there, int8."""
    check.arity(op, *((3, 3) if op.kind == "PADV2" else (2, 2)))
    check.same_quant(op, tensors, op.inputs[0], op.outputs[0])
    x, (y, qy) = tensors[op.inputs[0]], check.activation(op, tensors, op.outputs[0])
    pads = check.constant(op, tensors, op.inputs[1], "int32")
    check.require(
        pads.size == 2 * len(x.shape), op, f"paddings have {pads.size} values; expected {2 * len(x.shape)}."
    )
    pads = pads.reshape(-1, 2)
    check.require(bool((pads >= 0).all()), op, f"paddings must be >= 0, got {pads[:4].tolist()}.")
    check.require(not pads[:1].any(), op, "padding of the batch axis is not supported.")
    check.shape(op, y, [d + int(b) + int(a) for d, (b, a) in zip(x.shape, pads, strict=True)])
    value = qy.zero_point[0]
    if op.kind == "PADV2":
        check.same_quant(op, tensors, op.inputs[2], op.outputs[0])
        fill = check.constant(op, tensors, op.inputs[2], "int8")
        check.require(fill.size == 1, op, f"the value to pad with has {fill.size} elements; expected 1.")
        value = int(fill.reshape(-1)[0])
    return {"padding": tuple((int(b), int(a)) for b, a in pads), "value": value}


def forward(op: Op, graph: Graph, values: Values) -> Result:
    """The input with `value` around it."""
    x = operand(graph, values, op.inputs[0])
    return Result(np.pad(x, op.attrs["padding"], constant_values=op.attrs["value"]))
