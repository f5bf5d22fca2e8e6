"""LOG_SOFTMAX over the last axis, int8 in, int8 out with scale 1/16 and zero point 127."""

from __future__ import annotations

from typing import Any

import numpy as np

from tflm_export.ir import Graph, Op
from tflm_export.ops import check
from tflm_export.ops.fixed_point import divide_by_power, log
from tflm_export.ops.kind import Emitter, OpKind
from tflm_export.ops.requantize import INT8_MAX, INT8_MIN
from tflm_export.ops.result import Result, Values, operand
from tflm_export.ops.softmax import DIFF_BITS, SUM_BITS, exponentials, rows_of
from tflm_export.ops.text import elements, kernel_call

LEAST = -(16 << (31 - DIFF_BITS))  # what is below -16 is the least output anyway
OUTPUT_SHIFT = 31 - DIFF_BITS - 4


def prepare(op: Op, tensors: check.Tensors) -> dict[str, Any]:
    """`exp`: as in SOFTMAX; `argument`: what it is the exponential of, Q5.26, from -16 on."""
    (_, qx), (_, qy) = rows_of(op, tensors)
    ok = qy.scale[0] == 1 / 16 and qy.zero_point[0] == INT8_MAX
    check.require(ok, op, "the output must have scale 1/16 and zero point 127.")
    exps, arguments = exponentials(op, qx.scale[0])
    return {"exp": tuple(exps.tolist()), "argument": tuple(np.maximum(arguments, LEAST).tolist())}


def forward(op: Op, graph: Graph, values: Values) -> Result:
    """`y = round(16 (x - max - log sum exp(x - max))) + 127`."""
    x = operand(graph, values, op.inputs[0]).astype(np.int64)
    k = x.max(axis=-1, keepdims=True) - x
    exps, arguments = (np.array(op.attrs[name], np.int64)[k] for name in ("exp", "argument"))
    total = log(divide_by_power(exps, SUM_BITS).sum(axis=-1, keepdims=True), SUM_BITS, DIFF_BITS)
    y = divide_by_power(arguments - total, OUTPUT_SHIFT) + INT8_MAX
    return Result(np.clip(y, INT8_MIN, INT8_MAX).astype(np.int8))


def call(e: Emitter, op: Op, masks: bool) -> list[str]:
    """One kernel and two tables."""
    n = e.tensor(op.inputs[0]).shape[-1]
    tables = (e.tables.add("int32_t", f"{name}{op.label}", op.attrs[name]) for name in ("exp", "argument"))
    rows, x, y = elements(e, op) // n, e.at(op.inputs[0], "s8"), e.at(op.outputs[0], "s8")
    return kernel_call("log_softmax_s8", *tables, x, rows, n, y)


KIND = OpKind(prepare, forward, call)
