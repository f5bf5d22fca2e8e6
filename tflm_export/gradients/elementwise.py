"""Gradients of ops that touch every element by itself: masks, tables, sums of two, views.

Each comes twice: the device's integers, and the same in float64 or float32 on real gradients (`real_...`).
"""

from __future__ import annotations

import numpy as np

from tflm_export.gradients.arithmetic import Gradient, align
from tflm_export.gradients.call import Call, Sums
from tflm_export.ops.lookup import SLOPE_BITS
from tflm_export.ops.result import output_quant

Mask = np.ndarray | None


def gate(values: np.ndarray, passing: Mask) -> np.ndarray:
    """`values` where the clip mask passes, else 0."""
    return values if passing is None else values * passing


def mask(call: Call, g: Gradient, passing: Mask) -> Gradient:
    """ADD, SUB (first input), RELU, QUANTIZE: the gradient where the op did not clip."""
    return Gradient(gate(g.values, passing), g.exponent)


def real_mask(call: Call, g: np.ndarray, passing: Mask) -> np.ndarray:
    """The same in float64 or float32."""
    return gate(g, passing)


def negate(call: Call, g: Gradient, passing: Mask) -> Gradient:
    """SUB, second input."""
    return Gradient(-gate(g.values, passing), g.exponent)


def real_negate(call: Call, g: np.ndarray, passing: Mask) -> np.ndarray:
    """The same in float64 or float32."""
    return -gate(g, passing)


def add(call: Call, a: Gradient, b: Gradient) -> Sums:
    """A tensor with two readers."""
    return Sums(*align(a, b))


def real_add(call: Call, a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """The same in float64 or float32."""
    return a + b


def lookup(call: Call, g: Gradient, x: np.ndarray) -> Sums:
    """TANH, HARD_SWISH, LEAKY_RELU from their input: `g slope[x]`, slope in Q13."""
    slope = np.array(call.forward.attrs["slope"], np.int64)
    return Sums(g.values.astype(np.int64) * slope[x.astype(np.int64) + 128], g.exponent - SLOPE_BITS)


def real_lookup(call: Call, g: np.ndarray, x: np.ndarray) -> np.ndarray:
    """The same in float64 or float32."""
    slope = np.array(call.forward.attrs["slope"], g.dtype)
    return g * (slope[x.astype(np.int64) + 128] / 2.0**SLOPE_BITS)


def logistic(call: Call, g: Gradient, y: np.ndarray) -> Sums:
    """LOGISTIC from its output: `g (q + 128) (128 - q)`, exponent less 16."""
    q = y.astype(np.int64)
    return Sums(g.values.astype(np.int64) * (q + 128) * (128 - q), g.exponent - 16)


def real_logistic(call: Call, g: np.ndarray, y: np.ndarray) -> np.ndarray:
    """The same in float64 or float32."""
    quant = output_quant(call.forward, call.graph)
    p = quant.scale[0] * (y.astype(g.dtype) - quant.zero_point[0])
    return g * (p * (1 - p))


def reshape(call: Call, g: Gradient) -> Gradient:
    """RESHAPE: the same numbers in the input's shape."""
    return Gradient(g.values.reshape(call.in_shape), g.exponent)


def real_reshape(call: Call, g: np.ndarray) -> np.ndarray:
    """The same in float64 or float32."""
    return g.reshape(call.in_shape)
