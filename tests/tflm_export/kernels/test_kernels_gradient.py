"""Gradient kernels: every integer against kernel_reference.py, and all of them, as real gradients, against
finite differences in float64 through one checker."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from kernel_cases import Geometry, draw_geometry, int8, random_conv, sizes
from kernel_draws import check_real, draw_mask, exponents, int16, real, shifts, store
from kernel_reference import (
    bit_length,
    check_shift_rule,
    fraction,
    input_sums,
    prepared,
    rshift,
    shift_rule,
    taps,
    windows,
)
from kernel_runner import Conv, ConvGrad, GradScale, Pad, Pool, Reconstruction, Reduce, call, scratch

RUNS = settings(max_examples=40, deadline=None, suppress_health_check=list(HealthCheck))
seeds = st.integers(0, 2**32 - 1)


# Convolutions --------------------------------------------------------------------------------------------


def conv_grad(scale: np.ndarray, conv: Conv, depthwise: bool) -> ConvGrad:
    """docs/arithmetic.md, "Prepared gradient"."""
    k = math.frexp(float(scale.max()))[1]
    m = [min(32767, math.floor(s / 2.0**k * 2**15 + 0.5)) for s in scale.tolist()]
    products = conv.k_h * conv.k_w * (1 if depthwise else conv.out_c)
    headroom = max(0, math.ceil(math.log2(products / 256)))
    return ConvGrad(np.array(m, np.int16), k + headroom, headroom)


def linear(conv: Conv, weights: np.ndarray, passing: np.ndarray):
    """The convolution as a real function of x [H, W, C], gated by the mask."""

    def function(x: np.ndarray) -> np.ndarray:
        out = np.zeros((conv.out_h, conv.out_w, conv.out_c))
        for o, (ky, kx), i in taps(conv):
            out[o] += x[i] * weights[ky, kx] if weights.ndim == 3 else weights[:, ky, kx] @ x[i]
        return out * passing

    return function


KERNELS = {
    "conv_input_grad_s16": "CONV_2D",
    "pointwise_input_grad_s16": "CONV_2D",
    "depthwise_input_grad_s16": "DEPTHWISE_CONV_2D",
    "fully_connected_input_grad_s16": "FULLY_CONNECTED",
}


@RUNS
@given(
    st.data(), st.sampled_from(list(KERNELS)), st.sampled_from(["flash", "rows", "columns"]), st.booleans()
)
def test_input_gradients(data, kernel, storage, masked):
    rng, kind = np.random.default_rng(data.draw(seeds)), KERNELS[kernel]
    one = {"kernel": (1, 1), "stride": (1, 1)} if kernel.startswith("pointwise") else {}
    depthwise = kind == "DEPTHWISE_CONV_2D"
    conv, weights = random_conv(rng, draw_geometry(data.draw, kind, **one), depthwise)
    if not depthwise:
        store(conv, weights, storage, rng)
    scale = rng.uniform(0.001, 0.02, conv.out_c)
    q = conv_grad(scale, conv, depthwise)
    g_y = int16(rng, (conv.out_h, conv.out_w, conv.out_c), data.draw(st.integers(1, 15)))
    mask, passing = draw_mask(rng, g_y.size, masked)
    passing = passing.reshape(g_y.shape)
    e_y, shift = data.draw(exponents), data.draw(shifts)
    g_x, s = np.zeros((conv.in_h, conv.in_w, conv.in_c), np.int16), GradScale(99, shift)
    call(kernel, conv, q, g_y, e_y, mask, g_x, s, scratch(call(f"{kernel}_scratch_bytes", conv)))
    gated = prepared(g_y * passing, q.scale, q.headroom)
    acc = input_sums(conv, gated, weights.astype(np.int64))
    check_shift_rule(g_x, s, acc, e_y + q.exponent, shift)


@pytest.mark.parametrize("kernel", list(KERNELS))
@pytest.mark.parametrize("masked", [False, True])
def test_input_gradients_are_derivatives(kernel, masked):
    rng, kind = np.random.default_rng(5), KERNELS[kernel]
    geometry = {
        "conv_input_grad_s16": Geometry((5, 4, 3), (3, 2, 6), (3, 3), (2, 2), "SAME"),
        "pointwise_input_grad_s16": Geometry((3, 5, 4), (3, 5, 6), (1, 1), (1, 1), "SAME"),
        "depthwise_input_grad_s16": Geometry((5, 4, 3), (5, 4, 3), (3, 3), (1, 1), "SAME"),
        "fully_connected_input_grad_s16": Geometry((1, 1, 30), (1, 1, 7), (1, 1), (1, 1), "VALID"),
    }[kernel]
    depthwise = kind == "DEPTHWISE_CONV_2D"
    conv, weights = random_conv(rng, geometry, depthwise)
    scale = rng.uniform(0.001, 0.02, conv.out_c)
    q = conv_grad(scale, conv, depthwise)
    g_y = int16(rng, (conv.out_h, conv.out_w, conv.out_c))
    mask, passing = draw_mask(rng, g_y.size, masked)
    g_x, s = np.zeros((conv.in_h, conv.in_w, conv.in_c), np.int16), GradScale(0, 3)
    call(kernel, conv, q, g_y, -20, mask, g_x, s, scratch(call(f"{kernel}_scratch_bytes", conv)))
    weights_real = weights * scale if depthwise else weights * scale[:, None, None, None]
    function = linear(conv, weights_real, passing.reshape(g_y.shape))
    check_real(function, rng.normal(size=g_x.shape), real(g_y, -20), real(g_x, s.exponent))


# Loss ----------------------------------------------------------------------------------------------------


@RUNS
@given(st.data(), st.integers(1, 40), st.floats(2.0**-10, 0.5, width=32))
def test_cross_entropy(data, n, scale):
    rng = np.random.default_rng(data.draw(seeds))
    q, label = int8(rng, (n,)), data.draw(st.integers(0, n - 1))
    table = np.array([math.floor(2**24 * math.exp(-scale * k) + 0.5) for k in range(256)], np.uint32)
    g, s, p_label = np.zeros(n, np.int16), GradScale(7, 5), np.zeros(1, np.uint32)
    nonzero = call("softmax_cross_entropy_s8", table, q, n, label, g, s, p_label)
    terms = [int(table[int(q.max()) - int(v)]) for v in q]
    p = [(t * 2**30 + sum(terms) // 2) // sum(terms) for t in terms]
    wanted = np.array(p, np.int64)
    wanted[label] = -(sum(p) - p[label])
    shift = max(0, bit_length(wanted) - 14)
    np.testing.assert_array_equal(g, rshift(wanted, shift))
    assert (s.exponent, s.shift, nonzero) == (shift - 30, 5, wanted.any())
    assert p_label[0] == p[label]
    call("softmax_cross_entropy_s8", table, q, n, label, g, s, None)
    logits = scale * q.astype(np.float64)
    probability = np.exp(logits - logits.max()) / np.exp(logits - logits.max()).sum()
    if probability[label] < 0.99:

        def loss(z):
            return np.array([-z[label] + np.log(np.exp(z - z.max()).sum()) + z.max()])

        check_real(loss, logits, np.ones(1), real(g, s.exponent))


@RUNS
@given(st.data(), st.integers(1, 40), st.floats(2.0**-10, 0.5, width=32))
def test_mean_squared_error(data, n, scale):
    rng = np.random.default_rng(data.draw(seeds))
    q, t = int8(rng, (n,)), int8(rng, (n,))
    factor, k = fraction(scale / n)
    g, s, squares = np.zeros(n, np.int16), GradScale(), np.zeros(1, np.uint32)
    nonzero = call("mean_squared_error_s8", factor, k, q, t, n, g, s, squares)
    difference = q.astype(np.int64) - t
    np.testing.assert_array_equal(g, np.clip(rshift(2 * difference * 64 * factor, 15), -32767, 32767))
    assert s.exponent == k - 6 and squares[0] == (difference**2).sum() and nonzero == difference.any()
    target = scale * t.astype(np.float64)
    y = scale * q.astype(np.float64)
    check_real(lambda y: np.array([((y - target) ** 2).mean()]), y, np.ones(1), real(g, s.exponent))


@RUNS
@given(st.data(), st.integers(1, 40), st.floats(2.0**-10, 0.5, width=32), st.integers(-128, 127))
def test_binary_cross_entropy(data, n, scale, zero):
    rng = np.random.default_rng(data.draw(seeds))
    q, t = int8(rng, (n,)), rng.choice([0, 1, -3], n).astype(np.int8)
    share, exponent = math.frexp(1 / n)
    p = 1 / (1 + np.exp(-float(scale) * (np.arange(-128, 128) - zero)))
    table, one = np.floor(2**30 * share * p + 0.5).astype(np.uint32), math.floor(2**30 * share + 0.5)
    g, s, mean = np.zeros(n, np.int16), GradScale(7, 5), np.zeros(1, np.float32)
    nonzero = call("binary_cross_entropy_s8", table, one, exponent, q, t, n, g, s, mean)
    wanted = table[q.astype(np.int64) + 128].astype(np.int64) - one * (t != 0)
    shift = max(0, bit_length(wanted) - 14)
    np.testing.assert_array_equal(g, rshift(wanted, shift))
    assert (s.exponent, s.shift, nonzero) == (exponent + shift - 30, 5, wanted.any())
    said = np.where(t != 0, p[q.astype(np.int64) + 128], 1 - p[q.astype(np.int64) + 128])
    y, on = float(scale) * (q.astype(np.float64) - zero), t != 0
    if np.abs(y).max() < 5:
        np.testing.assert_allclose(mean[0], -np.log(said).mean(), rtol=1e-4, atol=1e-4)
        check_real(
            lambda y: np.array([(np.logaddexp(0, y) - on * y).mean()]), y, np.ones(1), real(g, s.exponent)
        )


@RUNS
@given(st.data(), st.integers(1, 40), st.floats(2.0**-10, 0.5, width=32), st.floats(1 / 60, 60))
def test_reconstruction_error(data, n, scale, ratio):
    rng = np.random.default_rng(data.draw(seeds))
    q, x, y_zero, x_zero = (
        int8(rng, (n,)),
        int8(rng, (n,)),
        int(rng.integers(-128, 128)),
        int(rng.integers(-128, 128)),
    )
    (factor, k), (part, power) = fraction(scale / n), fraction(ratio)
    p = Reconstruction(factor, k, y_zero, x_zero, part, 9 - power)
    g, s, squares = np.zeros(n, np.int16), GradScale(7, 5), np.zeros(1, np.uint64)
    nonzero = call("reconstruction_error_s8", p, q, x, n, g, s, squares)
    exact = 64 * (q.astype(np.int64) - y_zero) - rshift((x.astype(np.int64) - x_zero) * part, 9 - power)
    d = np.clip(exact, -32767, 32767)
    np.testing.assert_array_equal(g, np.clip(rshift(2 * d * factor, 15), -32767, 32767))
    assert (s.exponent, s.shift, nonzero) == (k - 6, 5, d.any())
    assert squares[0] == (d**2).sum() == call("reconstruction_squares_s8", p, q, x, n)
    finest = np.zeros(n, np.int16), GradScale(7, 5), np.zeros(1, np.uint64)
    assert nonzero == call("reconstruction_error_coarse_s8", p, 6, q, x, n, *finest)
    np.testing.assert_array_equal(finest[0], g)
    assert squares[0] == finest[2][0] == call("reconstruction_squares_coarse_s8", p, 6, q, x, n)
    target = scale * ratio * (x.astype(np.float64) - x_zero)
    y = scale * (q.astype(np.float64) - y_zero)
    if np.abs(exact).max() < 16000:
        check_real(lambda y: np.array([((y - target) ** 2).mean()]), y, np.ones(1), real(g, s.exponent))


# Elementwise ---------------------------------------------------------------------------------------------


@RUNS
@given(st.data(), st.booleans())
def test_sum_of_two_gradients(data, in_place):
    rng, n = np.random.default_rng(data.draw(seeds)), 37
    a, b = (int16(rng, n, data.draw(st.integers(1, 15))) for _ in "ab")
    e_a, e_b, shift = data.draw(exponents), data.draw(exponents), data.draw(shifts)
    base = max(min(e_a, e_b), max(e_a, e_b) - 15)

    def moved(g, e):
        g = g.astype(np.int64)
        return g << (e - base) if e >= base else rshift(g, base - e)

    acc = moved(a, e_a) + moved(b, e_b)
    total = real(a, e_a) + real(b, e_b)
    out, s = b if in_place else np.zeros(n, np.int16), GradScale(1, shift)
    call("add_grads_s16", a, e_a, b, e_b, n, out, s)
    check_shift_rule(out, s, acc, base, shift)
    if bit_length(acc) - (s.exponent - base) >= 10:
        error = np.abs(real(out, s.exponent) - total).max()
        assert error <= np.ldexp(1.0, s.exponent)


@RUNS
@given(st.data(), st.booleans(), st.booleans())
def test_masked_and_negated(data, masked, in_place):
    rng, n = np.random.default_rng(data.draw(seeds)), data.draw(st.integers(1, 30))
    mask, passing = draw_mask(rng, n, masked)
    for kernel, sign in (("mask_grad_s16", 1), ("negate_grad_s16", -1)):
        g = int16(rng, n)
        wanted = sign * g * passing
        out = g if in_place else np.zeros(n, np.int16)
        call(kernel, g, mask, n, out)
        np.testing.assert_array_equal(out, wanted)


@RUNS
@given(st.data(), st.booleans(), st.booleans())
def test_mul(data, masked, in_place):
    rng, n, zero = np.random.default_rng(data.draw(seeds)), 24, data.draw(st.integers(-128, 127))
    b, g_y, scale = int8(rng, (n,)), int16(rng, n), data.draw(st.floats(0.001, 0.3))
    mask, passing = draw_mask(rng, n, masked)
    factor, k = fraction(scale)
    e_y, shift = data.draw(exponents), data.draw(shifts)
    acc = rshift(g_y * passing * factor, 15) * (b.astype(np.int64) - zero)
    g_real = real(g_y, e_y) * passing
    g_x, s = g_y if in_place else np.zeros(n, np.int16), GradScale(0, shift)
    call("mul_input_grad_s16", factor, k, zero, b, g_y, e_y, mask, n, g_x, s)
    check_shift_rule(g_x, s, acc, e_y + k, shift)
    partner = scale * (b.astype(np.float64) - zero)
    if bit_length(acc) - (s.exponent - e_y - k) >= 11:
        check_real(lambda a: a * partner, rng.normal(size=n), g_real, real(g_x, s.exponent))


@RUNS
@given(st.data(), st.booleans())
def test_logistic(data, in_place):
    rng = np.random.default_rng(data.draw(seeds))
    y, g_y = np.arange(-128, 128, 3).astype(np.int8), int16(rng, 86)
    e_y, shift = data.draw(exponents), data.draw(shifts)
    q = y.astype(np.int64)
    acc, g_real = g_y * (q + 128) * (128 - q), real(g_y, e_y)
    g_x, s = g_y if in_place else np.zeros(86, np.int16), GradScale(0, shift)
    call("logistic_input_grad_s16", y, g_y, e_y, 86, g_x, s)
    check_shift_rule(g_x, s, acc, e_y - 16, shift)
    inside = y > -128  # 0 is no value of a sigmoid
    p = (q[inside] + 128) / 256
    if bit_length(acc) - (s.exponent - e_y + 16) >= 11:
        x = np.log(p / (1 - p))
        check_real(lambda x: 1 / (1 + np.exp(-x)), x, g_real[inside], real(g_x, s.exponent)[inside])


# Pooling, moving -----------------------------------------------------------------------------------------


def draw_pool(draw) -> Pool:
    geometry = draw_geometry(draw, "DEPTHWISE_CONV_2D", channels=st.integers(1, 5))
    (h, w, c), (p, q, _) = geometry.in_shape, geometry.out_shape
    pads = [
        max(0, (o - 1) * s + k - i) // 2 if geometry.padding == "SAME" else 0
        for o, s, k, i in zip((p, q), geometry.stride, geometry.kernel, (h, w), strict=True)
    ]
    return Pool(h, w, c, p, q, *geometry.kernel, *geometry.stride, *pads)


def check_pool(p: Pool, g_x: np.ndarray, s: GradScale, acc: np.ndarray, exponent: int, shift: int) -> None:
    apart = p.stride_h >= p.k_h and p.stride_w >= p.k_w
    whole = all(len(pixels) == p.k_h * p.k_w for _, pixels in windows(p))
    if apart and whole:
        np.testing.assert_array_equal(g_x, acc)
        assert (s.exponent, s.shift) == (exponent, shift)
    else:
        check_shift_rule(g_x, s, acc, exponent, shift)


@RUNS
@given(st.data())
def test_average_pool(data):
    rng, p = np.random.default_rng(data.draw(seeds)), draw_pool(data.draw)
    factors = [fraction(1 / count) for count in range(1, p.k_h * p.k_w + 1)]
    table, powers = (np.array(column, np.int16) for column in zip(*factors, strict=True))
    g_y, e_y, shift = int16(rng, (p.out_h, p.out_w, p.channels)), data.draw(exponents), data.draw(shifts)
    g_x, s = np.zeros((p.in_h, p.in_w, p.channels), np.int16), GradScale(0, shift)
    call("average_pool_input_grad_s16", p, table, powers, g_y, e_y, g_x, s)
    acc = np.zeros(g_x.shape, np.int64)
    for o, pixels in windows(p):
        f, k = factors[len(pixels) - 1]
        for pixel in pixels:
            acc[pixel] += rshift(g_y[o] * np.int64(f), 15) << (k - factors[-1][1])
    check_pool(p, g_x, s, acc, e_y + factors[-1][1], shift)
    if bit_length(acc) - (s.exponent - e_y - factors[-1][1]) >= 11:
        check_real(
            lambda x: pooled(p, x, np.mean), rng.normal(size=g_x.shape), real(g_y, e_y), real(g_x, s.exponent)
        )


def pooled(p: Pool, x: np.ndarray, reduce) -> np.ndarray:
    out = np.zeros((p.out_h, p.out_w, p.channels))
    for o, pixels in windows(p):
        out[o] = reduce([x[pixel] for pixel in pixels], axis=0)
    return out


@RUNS
@given(st.data())
def test_max_pool(data):
    rng, p = np.random.default_rng(data.draw(seeds)), draw_pool(data.draw)
    x = rng.integers(-4, 4, (p.in_h, p.in_w, p.channels)).astype(np.int8)
    g_y, e_y, shift = int16(rng, (p.out_h, p.out_w, p.channels)), data.draw(exponents), data.draw(shifts)
    g_x, s = np.zeros(x.shape, np.int16), GradScale(0, shift)
    call("max_pool_input_grad_s16", p, x, g_y, e_y, g_x, s)
    acc = np.zeros(x.shape, np.int64)
    for o, pixels in windows(p):
        for c in range(p.channels):
            best = max(pixels, key=lambda pixel: int(x[pixel][c]))  # the first of equals
            acc[best][c] += g_y[o][c]
    check_pool(p, g_x, s, acc, e_y, shift)
    if bit_length(acc) - (s.exponent - e_y) >= 11:
        order = x + np.linspace(0, -0.5, p.in_h * p.in_w).reshape(p.in_h, p.in_w, 1)  # ties go to the first
        check_real(lambda x: pooled(p, x, np.max), order, real(g_y, e_y), real(g_x, s.exponent))


@RUNS
@given(st.data(), st.integers(1, 64))
def test_mean(data, positions):
    rng, c = np.random.default_rng(data.draw(seeds)), 7
    g_y, e_y = int16(rng, c), data.draw(exponents)
    factor, k = fraction(1 / positions)
    g_x, s = np.zeros((positions, c), np.int16), GradScale(0, 4)
    call("mean_input_grad_s16", factor, k, g_y, e_y, Reduce(1, positions, 1, 1, c), g_x, s)
    np.testing.assert_array_equal(g_x, np.tile(rshift(g_y * np.int64(factor), 15), (positions, 1)))
    assert (s.exponent, s.shift) == (e_y + k, 4)
    check_real(lambda x: x.mean(0), rng.normal(size=g_x.shape), real(g_y, e_y), real(g_x, s.exponent))


@RUNS
@given(st.data())
def test_pad_and_concatenation(data):
    rng = np.random.default_rng(data.draw(seeds))
    shape = tuple(data.draw(sizes) for _ in range(3))
    pads = [(data.draw(st.integers(0, 3)), data.draw(st.integers(0, 3))) for _ in range(3)]
    g_y = int16(rng, tuple(n + a + b for n, (a, b) in zip(shape, pads, strict=True)))
    before = tuple(a for a, _ in pads)
    g_x = np.zeros(shape, np.int16)
    call("pad_input_grad_s16", Pad(*shape, *g_y.shape, *before, 0), g_y, g_x)
    np.testing.assert_array_equal(
        g_x, g_y[tuple(slice(a, a + n) for a, n in zip(before, shape, strict=True))]
    )
    outer, total, inner = g_y.shape[0] * g_y.shape[1], g_y.shape[2], shape[2]
    g_x = np.zeros((*g_y.shape[:2], inner), np.int16)
    call("concatenation_input_grad_s16", g_y, outer, inner, total, pads[2][0], g_x)
    np.testing.assert_array_equal(g_x, g_y[..., pads[2][0] : pads[2][0] + inner])


@pytest.mark.parametrize(
    ("acc", "shift", "expected", "exponent", "following"),
    [
        ([40000], 0, [5000], 3, 3),  # does not fit: 16 bits move by 3, and the next step starts there
        ([32767], 0, [32767], 0, 2),  # fits, but only just: a bit more room next time
        ([16383, -1], 0, [16383, -1], 0, 0),
        ([100], 3, [100], 0, 0),  # too small for its shift: computed again without
        ([0, 0], 5, [0, 0], 5, 5),  # nothing to learn from zeros
    ],
)
def test_shift_rule_by_hand(acc, shift, expected, exponent, following):
    g, e, s = shift_rule(np.array(acc), 0, shift)
    assert (g.tolist(), e, s) == (expected, exponent, following)
    n = len(acc)
    if max(acc) < 2**15:
        out, scale, zero = np.zeros(n, np.int16), GradScale(0, shift), np.zeros(n, np.int16)
        call("add_grads_s16", np.array(acc, np.int16), 0, zero, 0, n, out, scale)
        assert (out.tolist(), scale.exponent, scale.shift) == (expected, exponent, following)
