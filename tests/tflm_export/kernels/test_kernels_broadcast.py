"""Kernels of broadcast operands, of means over any axes and of tables.

Forward against TFLite Micro; gradients against sums written here and finite differences.
"""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from kernel_cases import ACTIVATIONS, int8, scales, seeds, sizes, zeros
from kernel_draws import check_real, draw_mask, exponents, int16, real, shifts
from kernel_reference import check_shift_rule, fraction, rshift
from kernel_runner import Add, GradScale, Reduce, Requantize, Spread, call
from tflite_file import O, T, build, fused, oracle

from tflm_export.front.read_tflite import read_tflite
from tflm_export.ops.broadcast import reduce, spread
from tflm_export.ops.shared import GRADIENT_BITS, PRODUCT_BITS, headroom, sum_to

RUNS = settings(max_examples=40, deadline=None, suppress_health_check=list(HealthCheck))
PAIRS = [
    ((1, 4, 3, 5), (1, 1, 1, 5)),  # one a channel
    ((1, 4, 3, 5), (1, 5)),
    ((1, 1, 1, 1), (1, 4, 3, 5)),  # one value
    ((1, 4, 3, 5), (1, 4, 3, 1)),  # one a pixel
    ((1, 1, 3, 1), (1, 4, 3, 5)),  # one a column
    ((1, 1, 1, 5), (1, 4, 3, 1)),  # both
    ((1, 2, 2, 70), (1, 2, 2, 1)),  # runs longer than a block
    ((1, 4, 3, 5), (1, 4, 3, 5)),
]


@st.composite
def pairs(draw):
    """Shapes of two operands, of their result, and how each is spread."""
    a, b = draw(st.sampled_from(PAIRS))
    y = np.broadcast_shapes(a, b)
    return a, b, y, Spread(*spread(a, y)), Spread(*spread(b, y))


@RUNS
@given(st.data(), pairs(), st.sampled_from(["ADD", "SUB", "MUL"]), st.booleans())
def test_elementwise(data, pair, kind, in_place):
    a_shape, b_shape, y_shape, a_spread, b_spread = pair
    rng = np.random.default_rng(data.draw(seeds))
    shapes = {"a": a_shape, "b": b_shape, "y": y_shape}
    tensors = [T(name, s, scale=data.draw(scales), zero=data.draw(zeros)) for name, s in shapes.items()]
    model = build(tensors, [O(kind, ["a", "b"], ["y"], fused(data.draw(ACTIVATIONS)))], ["a", "b"], ["y"])
    p, (a, b) = parameters(model, kind), (int8(rng, a_shape), int8(rng, b_shape))
    wanted, n = oracle(model, a, b)[0], int(np.prod(y_shape))
    y, mask = np.zeros(y_shape, np.int8), np.zeros((n + 7) // 8, np.uint8)
    whole = [np.broadcast_to(x, y_shape).copy() for x in (a, b)]
    whole_y, whole_mask = np.zeros_like(y), np.zeros_like(mask)
    call(f"{kind.lower()}_s8", p, *whole, n, whole_y, whole_mask)
    if in_place and a.size == n:
        y = a
    call(f"{kind.lower()}_broadcast_s8", p, a, a_spread, b, b_spread, n, y, mask)
    np.testing.assert_array_equal(y.reshape(y_shape), wanted)
    np.testing.assert_array_equal(whole_y, wanted)
    np.testing.assert_array_equal(mask, whole_mask)


@RUNS
@given(st.data(), pairs(), st.sampled_from(["MINIMUM", "MAXIMUM"]))
def test_extremum(data, pair, kind):
    """Forward, and the gradients of both operands, which add up to the whole."""
    a_shape, b_shape, y_shape, a_spread, b_spread = pair
    rng, n = np.random.default_rng(data.draw(seeds)), int(np.prod(y_shape))
    tensors = [T(name, s) for name, s in {"a": a_shape, "b": b_shape, "y": y_shape}.items()]
    model = build(tensors, [O(kind, ["a", "b"], ["y"])], ["a", "b"], ["y"])
    a, b = (rng.integers(-3, 4, shape, np.int8) for shape in (a_shape, b_shape))
    y = np.zeros(y_shape, np.int8)
    call(f"{kind.lower()}_s8", a, a_spread, b, b_spread, n, y)
    np.testing.assert_array_equal(y, oracle(model, a, b)[0])
    g_y, e_y, sign = (
        rng.integers(-99, 100, y_shape, np.int16),
        data.draw(exponents),
        1 - 2 * (kind == "MAXIMUM"),
    )
    first = np.less_equal(sign * a.astype(int), sign * b.astype(int))
    for own, over, other, over_other, limit, taken in (
        (a, a_spread, b, b_spread, 1, first),
        (b, b_spread, a, a_spread, 0, ~first),
    ):
        g_x, s = np.zeros(own.shape, np.int16), GradScale(0, 0)
        call("extremum_input_grad_s16", sign, limit, own, over, other, over_other, g_y, e_y, n, g_x, s)
        check_shift_rule(
            g_x.reshape(-1), s, sum_to(g_y * taken.astype(np.int64), own.shape).reshape(-1), e_y, 0
        )


def parameters(model: bytes, kind: str) -> Add | Requantize:
    """The struct of a model's one op."""
    graph = read_tflite(model)
    attrs = graph.ops[0].attrs
    zeros_of = [graph.tensors[name].quant.zero_point[0] for name in ("a", "b", "y")]
    clamp = attrs["act_min"], attrs["act_max"]
    if kind == "MUL":
        return Requantize(*zeros_of, *clamp, attrs["multiplier"], attrs["shift"])
    parts = ("input1", "input2", "output")
    factors = [attrs[f"{part}_{what}"] for what in ("multiplier", "shift") for part in parts]
    return Add(*zeros_of, *clamp, *factors)


@RUNS
@given(st.data(), st.sampled_from([(1,), (2,), (3,), (1, 2), (2, 3), (1, 3), (1, 2, 3)]))
def test_mean(data, axes):
    rng = np.random.default_rng(data.draw(seeds))
    shape = (1, data.draw(sizes), data.draw(sizes), data.draw(sizes))
    kept = [1 if i in axes else d for i, d in enumerate(shape)]
    tensors = [
        T("x", shape, scale=data.draw(scales), zero=data.draw(zeros)),
        T("axes", (len(axes),), "int32", None, data=np.array(axes, np.int32)),
        T("y", kept, scale=data.draw(scales), zero=data.draw(zeros)),
    ]
    model = build(tensors, [O("MEAN", ["x", "axes"], ["y"], {"KeepDims": True})], ["x"], ["y"])
    attrs = read_tflite(model).ops[0].attrs
    p = Requantize(tensors[0].zero, 0, tensors[2].zero, -128, 127, attrs["multiplier"], attrs["shift"])
    x, y, over = int8(rng, shape), np.zeros(kept, np.int8), Reduce(*reduce(shape, axes))
    call("mean_s8", p, over, x, y)
    np.testing.assert_array_equal(y, oracle(model, x)[0])

    g_y, e_y = int16(rng, kept), data.draw(exponents)
    factor, k = fraction(1 / attrs["count"])
    g_x, s = np.zeros(shape, np.int16), GradScale(0, 4)
    call("mean_input_grad_s16", factor, k, g_y, e_y, over, g_x, s)
    np.testing.assert_array_equal(g_x, np.broadcast_to(rshift(g_y * np.int64(factor), 15), shape))
    assert (s.exponent, s.shift) == (e_y + k, 4)


@RUNS
@given(st.data(), st.integers(1, 5), st.sampled_from([1, 2, 10]))
def test_softmax_of_rows(data, rows, n):
    rng, scale = np.random.default_rng(data.draw(seeds)), data.draw(scales)
    tensors = [T("x", (1, rows, n), scale=scale, zero=3), T("y", (1, rows, n), scale=1 / 256, zero=-128)]
    model = build(tensors, [O("SOFTMAX", ["x"], ["y"], {"Beta": 1.0})], ["x"], ["y"])
    table = np.array(read_tflite(model).ops[0].attrs["exp"], np.int32)
    x, y = int8(rng, (1, rows, n)), np.zeros((1, rows, n), np.int8)
    call("softmax_s8", table, x, rows, n, y)
    np.testing.assert_array_equal(y, oracle(model, x)[0])


@RUNS
@given(st.data(), st.integers(1, 4), sizes)
def test_repeat(data, times, channels):
    x = int8(np.random.default_rng(data.draw(seeds)), (3, channels))
    y = np.zeros((3, channels * times), np.int8)
    call("repeat_s8", x, Spread(times, x.size), y.size, y)
    np.testing.assert_array_equal(y, np.repeat(x, times, axis=1))


@RUNS
@given(st.data(), pairs(), st.booleans(), st.booleans())
def test_product_gradient(data, pair, masked, in_place):
    """Of the first factor, broadcast or whole, with a partner that is broadcast or whole."""
    a_shape, b_shape, y_shape, a_spread, b_spread = pair
    rng, zero, scale = np.random.default_rng(data.draw(seeds)), data.draw(zeros), data.draw(scales)
    b, g_y = int8(rng, b_shape), int16(rng, y_shape)
    mask, passing = draw_mask(rng, g_y.size, masked)
    passing = passing.reshape(y_shape)
    (factor, k), e_y, shift = fraction(scale), data.draw(exponents), data.draw(shifts)
    terms = rshift(g_y * passing * factor, 15) * (b.astype(np.int64) - zero)
    bits = headroom(g_y.size // int(np.prod(a_shape)), PRODUCT_BITS)
    acc, g_real = rshift(sum_to(terms, a_shape), bits), real(g_y, e_y) * passing
    g_x = g_y if in_place and g_y.size == acc.size else np.zeros(a_shape, np.int16)
    s = GradScale(0, shift)
    n = int(np.prod(y_shape))
    call("mul_broadcast_input_grad_s16", factor, k, zero, b, b_spread, g_y, e_y, mask, n, a_spread, g_x, s)
    check_shift_rule(g_x.reshape(-1), s, acc.reshape(-1), e_y + k + bits, shift)
    if int(np.abs(acc).max()).bit_length() - (s.exponent - e_y - k - bits) >= 11:
        partner = scale * (b.astype(np.float64) - zero)
        check_real(lambda a: a * partner, rng.normal(size=a_shape), g_real, real(g_x, s.exponent))


@RUNS
@given(st.data(), pairs(), st.booleans(), st.sampled_from([1, -1]))
def test_sum_gradient(data, pair, masked, sign):
    shape, _, y_shape, over, _ = pair
    rng = np.random.default_rng(data.draw(seeds))
    g_y, e_y, shift = int16(rng, y_shape), data.draw(exponents), data.draw(shifts)
    mask, passing = draw_mask(rng, g_y.size, masked)
    acc = sum_to(sign * g_y.astype(np.int64) * passing.reshape(y_shape), shape)
    g_x, s = np.zeros(shape, np.int16), GradScale(0, shift)
    call("sum_grad_s16", sign, g_y, e_y, mask, g_y.size, over, g_x, s)
    check_shift_rule(g_x.reshape(-1), s, acc.reshape(-1), e_y, shift)


@pytest.mark.parametrize("term_bits, kernel", [(GRADIENT_BITS, "sum"), (PRODUCT_BITS, "mul")])
def test_the_largest_sums_stay_in_32_bits(term_bits, kernel):
    n = 4 * 2 ** (31 - term_bits) + 1
    g_y, b, g_x, s = (
        np.full(n, 32767, np.int16),
        np.full(n, -128, np.int8),
        np.zeros(1, np.int16),
        GradScale(0, 0),
    )
    bits = headroom(n, term_bits)
    assert bits == 3
    if kernel == "sum":
        call("sum_grad_s16", -1, g_y, -4, None, n, Spread(n, 1), g_x, s)
        real_sum = -32767.0 * n
    else:
        call(
            "mul_broadcast_input_grad_s16",
            32767,
            0,
            127,
            b,
            Spread(1, n),
            g_y,
            -4,
            None,
            n,
            Spread(n, 1),
            g_x,
            s,
        )
        real_sum = -32766.0 * 255 * n
    assert np.ldexp(float(g_x[0]), s.exponent + 4) == pytest.approx(real_sum, rel=1e-4)


@RUNS
@given(st.data(), st.booleans())
def test_lookup_gradient(data, in_place):
    rng = np.random.default_rng(data.draw(seeds))
    x, slope = int8(rng, (50,)), rng.integers(-32767, 32768, 256).astype(np.int16)
    g_y, e_y, shift = int16(rng, 50), data.draw(exponents), data.draw(shifts)
    acc = g_y.astype(np.int64) * slope[x.astype(np.int64) + 128]
    g_x, s = g_y if in_place else np.zeros(50, np.int16), GradScale(0, shift)
    call("lookup_input_grad_s16", slope, x, g_y, e_y, 50, g_x, s)
    check_shift_rule(g_x, s, acc, e_y - 13, shift)
