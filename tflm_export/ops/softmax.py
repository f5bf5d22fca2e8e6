"""SOFTMAX over the last axis, int8 in, int8 out with scale 1/256 and zero point -128."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from tflm_export.ir import Graph, Op, QParams, Tensor
from tflm_export.ops import check
from tflm_export.ops.fixed_point import (
    INT32_MIN,
    divide_by_power,
    exp_on_negative_values,
    multiply_high,
    reciprocal,
)
from tflm_export.ops.kind import Emitter, OpKind, Options
from tflm_export.ops.requantize import INT8_MAX, INT8_MIN, quantize_multiplier
from tflm_export.ops.result import Result, Values, operand
from tflm_export.ops.text import elements, kernel_call

DIFF_BITS = 5  # integer bits of the exponent's argument
SUM_BITS = 12  # integer bits of the sum of exponentials
MAX_DEPTH = 2 ** (SUM_BITS - 1)


def prepare(op: Op, tensors: check.Tensors) -> dict[str, Any]:
    """`exp`: exp(-s_x beta k) for k = 0..255 in Q0.31, 0 where TFLite takes it as 0."""
    (_, qx), (_, qy) = rows_of(op, tensors)
    ok = qy.scale[0] == 1 / 256 and qy.zero_point[0] == INT8_MIN
    check.require(ok, op, "the output must have scale 1/256 and zero point -128.")
    beta = op.attrs["beta"]
    check.require(math.isfinite(beta) and beta > 0, op, f"beta must be > 0, got {beta}.")
    return {"exp": tuple(exponentials(op, beta * qx.scale[0])[0].tolist()), "beta": beta}


def rows_of(op: Op, tensors: check.Tensors) -> list[tuple[Tensor, QParams]]:
    """Input and output of an op on rows, checked."""
    check.arity(op, 1)
    (x, qx), (y, qy) = (check.activation(op, tensors, name) for name in (op.inputs[0], op.outputs[0]))
    check.shape(op, y, x.shape)
    check.require(
        len(x.shape) >= 2, op, f"shape {list(x.shape)} is not supported; expected [N, ..., classes]."
    )
    check.require(x.shape[-1] <= MAX_DEPTH, op, f"{x.shape[-1]} classes; allowed: at most {MAX_DEPTH}.")
    return [(x, qx), (y, qy)]


def exponentials(op: Op, scale: float) -> tuple[np.ndarray, np.ndarray]:
    """Of `-scale k`, k = 0..255, int64: exp in Q0.31, 0 where Q5.26 does not hold it; itself in Q5.26."""
    real = min(scale * 2 ** (31 - DIFF_BITS), 2.0**31 - 1)
    check.require(real > 1, op, f"input scale {scale:g} is too small.")
    multiplier, shift = quantize_multiplier(real)
    radius = math.floor((2**DIFF_BITS - 1) * 2 ** (31 - DIFF_BITS) / 2**shift)
    k = np.arange(256)
    argument = multiply_high(-np.minimum(k, radius) << shift, multiplier)
    inside = k <= radius
    exps = np.where(inside, exp_on_negative_values(argument, DIFF_BITS), 0)
    return exps, np.where(inside, argument, INT32_MIN)


def forward(op: Op, graph: Graph, values: Values) -> Result:
    """`y = round(256 exp(x - max) / sum) - 128`."""
    x = operand(graph, values, op.inputs[0]).astype(np.int64)
    exps = np.array(op.attrs["exp"], np.int64)[x.max(axis=-1, keepdims=True) - x]
    total = divide_by_power(exps, SUM_BITS).sum(axis=-1, keepdims=True)
    scale, bits = reciprocal(total, SUM_BITS)
    y = divide_by_power(multiply_high(exps, scale), bits + 31 - 8) + INT8_MIN
    return Result(np.clip(y, INT8_MIN, INT8_MAX).astype(np.int8))


def call(e: Emitter, op: Op, masks: bool) -> list[str]:
    """One kernel and the table."""
    n = e.tensor(op.inputs[0]).shape[-1]
    table = e.tables.add("int32_t", f"softmax{op.label}", op.attrs["exp"])
    rows, x, y = elements(e, op) // n, e.at(op.inputs[0], "s8"), e.at(op.outputs[0], "s8")
    return kernel_call("softmax_s8", table, x, rows, n, y)


KIND = OpKind(prepare, forward, call, Options("SoftmaxOptions", {"beta": "Beta"}))
