"""Gradients of operands that are broadcast: each of their elements has a part in many elements of the result.

Each comes twice: the device's integers, and the same in float64 on real gradients (`real_...`).
"""

from __future__ import annotations

import math

import numpy as np

from tflm_export.gradients.arithmetic import Gradient, fraction_q15, rshift
from tflm_export.gradients.call import Call, Sums
from tflm_export.gradients.elementwise import Mask, gate
from tflm_export.gradients.ordered import total as total_of
from tflm_export.ops.result import tensor_quant

GRADIENT_BITS = 15
PRODUCT_BITS = 23  # of a gradient and an int8 less its zero point


def headroom(count: int, term_bits: int) -> int:
    """Bits that sums of `count` terms of `term_bits` bits are moved right by to stay in int32.

    >>> headroom(256, PRODUCT_BITS), headroom(257, PRODUCT_BITS), headroom(9216, GRADIENT_BITS)
    (0, 1, 0)
    """
    return max(0, math.ceil(math.log2(count)) - (31 - term_bits))


def sum_to(values: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    """`values` summed over the axes along which `shape` is broadcast to theirs.

    >>> sum_to(np.ones((1, 2, 3)), (3,)).tolist()
    [2.0, 2.0, 2.0]
    """
    padded = (1,) * (values.ndim - len(shape)) + shape
    axes = [i for i, (a, b) in enumerate(zip(values.shape, padded, strict=True)) if a != b]
    return _total_over(values, axes).reshape(shape)


def _total_over(values: np.ndarray, axes: list[int]) -> np.ndarray:
    """The sum over `axes` in row-major order, as the float32 kernels take it."""
    moved = np.moveaxis(values, axes, range(len(axes)))
    return total_of(moved.reshape(-1, *moved.shape[len(axes) :]))


def _shared(call: Call, values: np.ndarray) -> np.ndarray:
    """Sums of the output's `values` for every element of the input."""
    if call.forward.kind == "REPEAT_CHANNELS":
        return _total_over(values.reshape(*call.in_shape, -1), [len(call.in_shape)])
    return sum_to(values, call.in_shape)


def _sums(call: Call, terms: np.ndarray, exponent: int, term_bits: int) -> Sums:
    """The same as accumulators, with headroom where the terms are many."""
    sums = _shared(call, terms)
    bits = headroom(terms.size // sums.size, term_bits)
    return Sums(rshift(sums, bits), exponent + bits)


def total(call: Call, g: Gradient, passing: Mask) -> Sums:
    """ADD, SUB and REPEAT_CHANNELS: the sum of the gradients that each element has a part in."""
    terms = call.op.attrs["sign"] * gate(g.values.astype(np.int64), passing)
    return _sums(call, terms, g.exponent, GRADIENT_BITS)


def real_total(call: Call, g: np.ndarray, passing: Mask) -> np.ndarray:
    """The same in float64 or float32."""
    return call.op.attrs["sign"] * _shared(call, gate(g, passing))


def mul(call: Call, g: Gradient, passing: Mask, partner: np.ndarray) -> Sums:
    """MUL: `rshift(g pass F, 15) (q_b - z_b)`, summed; `partner` int8 is the other factor."""
    quant = tensor_quant(call.graph, call.op.inputs[2])
    factor, exponent = fraction_q15(quant.scale[0])
    scaled = rshift(gate(g.values.astype(np.int64), passing) * factor, 15)
    terms = scaled * (partner.astype(np.int64) - quant.zero_point[0])
    return _sums(call, terms, g.exponent + exponent, PRODUCT_BITS)


def real_mul(call: Call, g: np.ndarray, passing: Mask, partner: np.ndarray) -> np.ndarray:
    """The same in float64 or float32."""
    quant = tensor_quant(call.graph, call.op.inputs[2])
    factor = quant.scale[0] * (partner.astype(g.dtype) - quant.zero_point[0])
    return _shared(call, gate(g, passing) * factor)
