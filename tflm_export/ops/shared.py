"""Gradient ops that belong to no one op: the sum of two, a clip mask, a sign, a broadcast operand's sum.

Each comes twice: the device's integers, and the same in float64 or float32 on real gradients (`real_...`).
"""

from __future__ import annotations

import math
from collections.abc import Iterator

import numpy as np

from tflm_export.ir import Op
from tflm_export.ops.arithmetic import Gradient, align, rshift
from tflm_export.ops.call import Call, Mask, Sums, gate
from tflm_export.ops.kind import Backward, Emitter, GradientKind
from tflm_export.ops.ordered import total as total_of
from tflm_export.ops.text import elements, kernel_call, spread_text

GRADIENT_BITS = 15
PRODUCT_BITS = 23  # of a gradient and an int8 less its zero point


# Rules of the backward pass


def positions(op: Op, wanted: list[str]) -> Iterator[tuple[int, str]]:
    """Every place where a wanted tensor goes in; the same one may go in twice."""
    return ((i, name) for i, name in enumerate(op.inputs) if name in wanted)


def is_broadcast(b: Backward, op: Op, name: str) -> bool:
    """Whether an operand is smaller than the result."""
    return b.graph.tensors[name].size != b.graph.tensors[op.outputs[0]].size


def sum_over(b: Backward, op: Op, g: str, mask: str, position: int, sign: int) -> None:
    """The gradient of a broadcast operand."""
    b.gradient("SUM_GRADIENT", op, (g, mask), op.inputs[position], position, sign=sign)


def pass_through(b: Backward, op: Op, g: str, mask: str, wanted: list[str]) -> None:
    """ADD, RELU, QUANTIZE: the same gradient to every input, summed for one that is broadcast."""
    whole = [(i, name) for i, name in positions(op, wanted) if not is_broadcast(b, op, name)]
    for position, name in positions(op, wanted):
        if is_broadcast(b, op, name):
            sum_over(b, op, g, mask, position, 1)
    passed = b.passing(op, g, mask) if whole else ""
    for position, name in whole:
        b.note(op, name, passed, position)


# Arithmetic


def _mask(call: Call, g: Gradient, passing: Mask) -> Gradient:
    """The gradient where the op did not clip."""
    return Gradient(gate(g.values, passing), g.exponent)


def _real_mask(call: Call, g: np.ndarray, passing: Mask) -> np.ndarray:
    return gate(g, passing)


def _negate(call: Call, g: Gradient, passing: Mask) -> Gradient:
    """SUB, second input."""
    return Gradient(-gate(g.values, passing), g.exponent)


def _real_negate(call: Call, g: np.ndarray, passing: Mask) -> np.ndarray:
    return -gate(g, passing)


def _add(call: Call, a: Gradient, b: Gradient) -> Sums:
    """A tensor with two readers."""
    return Sums(*align(a, b))


def _real_add(call: Call, a: np.ndarray, b: np.ndarray) -> np.ndarray:
    result: np.ndarray = a + b
    return result


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


def real_sums(call: Call, values: np.ndarray) -> np.ndarray:
    """Sums of the output's `values` for every element of the input."""
    if "times" in call.forward.attrs:
        return _total_over(values.reshape(*call.in_shape, -1), [len(call.in_shape)])
    return sum_to(values, call.in_shape)


def sums(call: Call, terms: np.ndarray, exponent: int, term_bits: int) -> Sums:
    """The same as accumulators, with headroom where the terms are many."""
    added = real_sums(call, terms)
    bits = headroom(terms.size // added.size, term_bits)
    return Sums(rshift(added, bits), exponent + bits)


def _total(call: Call, g: Gradient, passing: Mask) -> Sums:
    """ADD, SUB and REPEAT_CHANNELS: the sum of the gradients that each element has a part in."""
    terms = call.op.attrs["sign"] * gate(g.values.astype(np.int64), passing)
    return sums(call, terms, g.exponent, GRADIENT_BITS)


def _real_total(call: Call, g: np.ndarray, passing: Mask) -> np.ndarray:
    result: np.ndarray = call.op.attrs["sign"] * real_sums(call, gate(g, passing))
    return result


# Calls


def _add_call(e: Emitter, op: Op) -> list[str]:
    pairs = [text for g in op.inputs for text in (e.at(g, "s16"), e.exponent(g))]
    return kernel_call("add_grads_s16", *pairs, elements(e, op), e.at(op.outputs[0], "s16"), e.scale(op))


def _add_call_f32(e: Emitter, op: Op) -> list[str]:
    a, b = (e.at(g, "f32") for g in op.inputs)
    return kernel_call("add_grads_f32", a, b, elements(e, op), e.at(op.outputs[0], "f32"))


def _mask_call(e: Emitter, op: Op) -> list[str]:
    g, mask = op.inputs
    args = (e.at(g, "s16"), e.at(mask, "bits"), elements(e, op), e.at(op.outputs[0], "s16"))
    return kernel_call("mask_grad_s16", *args)


def _mask_call_f32(e: Emitter, op: Op) -> list[str]:
    g, mask = op.inputs
    args = (e.at(g, "f32"), e.at(mask, "bits"), elements(e, op), e.at(op.outputs[0], "f32"))
    return kernel_call("mask_grad_f32", *args)


def _negate_call(e: Emitter, op: Op) -> list[str]:
    g, mask = op.inputs
    args = (e.at(g, "s16"), e.at(mask, "bits"), elements(e, op), e.at(op.outputs[0], "s16"))
    return kernel_call("negate_grad_s16", *args)


def _negate_call_f32(e: Emitter, op: Op) -> list[str]:
    g, out = e.at(op.inputs[0], "f32"), e.at(op.outputs[0], "f32")
    return kernel_call("negate_grad_f32", g, elements(e, op), out)


def _total_call(e: Emitter, op: Op) -> list[str]:
    (g, mask), spread_of = op.inputs, spread_text(e, e.layer(op), op.attrs["position"])
    args = (e.at(g, "s16"), e.exponent(g), e.at(mask, "bits"), e.tensor(g).size, spread_of)
    return kernel_call("sum_grad_s16", op.attrs["sign"], *args, e.at(op.outputs[0], "s16"), e.scale(op))


def _total_call_f32(e: Emitter, op: Op) -> list[str]:
    g, own = op.inputs[0], spread_text(e, e.layer(op), op.attrs["position"])
    args = (op.attrs["sign"], e.at(g, "f32"), e.tensor(g).size, own, e.at(op.outputs[0], "f32"))
    return kernel_call("sum_grad_f32", *args)


ADD_GRADIENTS = GradientKind(_add, _real_add, _add_call, _add_call_f32, in_place=(0, 1))
MASK_GRADIENT = GradientKind(_mask, _real_mask, _mask_call, _mask_call_f32, in_place=(0,), same_exponent=True)
NEGATE_GRADIENT = GradientKind(
    _negate, _real_negate, _negate_call, _negate_call_f32, in_place=(0,), same_exponent=True
)
SUM_GRADIENT = GradientKind(_total, _real_total, _total_call, _total_call_f32, first_shift=3)
