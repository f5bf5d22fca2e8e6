"""LOGISTIC: the sigmoid, int8 in, int8 out with scale 1/256 and zero point -128."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from tflm_export.ir import Graph, Op, QParams
from tflm_export.ops import check
from tflm_export.ops.fixed_point import divide_by_power, logistic
from tflm_export.ops.requantize import INT8_MAX, INT8_MIN, requantize
from tflm_export.ops.result import Result, Values, operand

INPUT_BITS = 4
EVERY = np.arange(INT8_MIN, INT8_MAX + 1)


def prepare(op: Op, tensors: check.Tensors) -> dict[str, Any]:
    """`table`: the output for inputs -128..127."""
    check.arity(op, 1)
    (x, qx), (y, qy) = (
        check.activation(op, tensors, op.inputs[0]),
        check.activation(op, tensors, op.outputs[0]),
    )
    check.shape(op, y, x.shape)
    ok = qy.scale[0] == 1 / 256 and qy.zero_point[0] == INT8_MIN
    check.require(ok, op, "the output must have scale 1/256 and zero point -128.")
    argument, low, high = rescaled(op, qx)
    table = divide_by_power(logistic(argument, INPUT_BITS), 23) + INT8_MIN
    table = np.where(low, INT8_MIN, np.where(high, INT8_MAX, table))
    return {"table": tuple(np.clip(table, INT8_MIN, INT8_MAX).tolist())}


def rescaled(op: Op, quant: QParams) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Every int8 input in Q4.27, int64 [256]; and where it is below or above what that holds, bool."""
    in_range = 2.0**-27 <= quant.scale[0] < 2.0**4
    check.require(in_range, op, f"input scale {quant.scale[0]:g} is not supported; allowed: 2^-27 to 16.")
    fraction, shift = math.frexp(quant.scale[0] * 2 ** (31 - INPUT_BITS))
    radius = math.floor((2**INPUT_BITS - 1) * 2 ** (31 - INPUT_BITS) / 2**shift)
    x = EVERY - quant.zero_point[0]
    argument = requantize(np.clip(x, -radius, radius), math.floor(fraction * 2**31 + 0.5), shift)
    return argument, x <= -radius, x >= radius


def forward(op: Op, graph: Graph, values: Values) -> Result:
    """A look in the table."""
    x = operand(graph, values, op.inputs[0]).astype(np.int64)
    return Result(np.array(op.attrs["table"], np.int8)[x - INT8_MIN])
