"""Float32 kernels against docs/arithmetic.md, bit for bit: loops in np.float32, in the order of the page.

The definitions themselves are held to TensorFlow in test_gradients.py and test_float_path.py.
"""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from kernel_cases import Geometry, draw_geometry, int8, random_conv
from kernel_draws import check_state, copied, draw_mask, draw_state, optimizers, store
from kernel_reference import stepped, taps, weight_sums, windows
from kernel_runner import Conv, Pad, Pool, Reconstruction, Reduce, Sgd, Spread, call, scratch

RUNS = settings(max_examples=30, deadline=None, suppress_health_check=list(HealthCheck))
seeds = st.integers(0, 2**32 - 1)
WEIGHT_LIMIT, BIAS_LIMIT = 2.0**19, 2.0**46


def floats(rng: np.random.Generator, *shape: int) -> np.ndarray:
    """Gradients over many magnitudes, some 0."""
    g = rng.normal(size=shape) * np.exp(3 * rng.normal(size=shape))
    return np.where(rng.random(shape) < 0.1, 0, g).astype(np.float32)


def added(terms) -> np.float32:
    """One after the other."""
    total = np.float32(0)
    for term in terms:
        total = total + np.float32(term)
    return total


def same(got: np.ndarray, wanted: np.ndarray) -> None:
    """The same values; 0 and -0 are one."""
    np.testing.assert_array_equal(got, np.asarray(wanted, np.float32).reshape(got.shape))


# Convolutions --------------------------------------------------------------------------------------------


def input_gradient(conv: Conv, g: np.ndarray, weights: np.ndarray, scale: np.ndarray) -> np.ndarray:
    """By input pixel, tap, output channel."""
    reached: dict[tuple, list] = {}
    for o, k, i in taps(conv):
        reached.setdefault(i, []).append((k, o))
    out = np.zeros((conv.in_h, conv.in_w, conv.in_c), np.float32)
    w = weights.astype(np.float32)
    for i, pairs in reached.items():
        for k, o in sorted(pairs):
            if weights.ndim == 3:
                out[i] += g[o] * w[k]
                continue
            for co in range(conv.out_c):
                out[i] += (g[o][co] * scale[co]) * w[co][k]
    return out * scale if weights.ndim == 3 else out


@RUNS
@given(
    st.data(),
    st.sampled_from(["CONV_2D", "DEPTHWISE_CONV_2D", "FULLY_CONNECTED"]),
    st.sampled_from(["flash", "rows", "columns"]),
    st.booleans(),
)
def test_input_gradients(data, kind, storage, pointwise):
    rng = np.random.default_rng(data.draw(seeds))
    one = {"kernel": (1, 1), "stride": (1, 1)} if pointwise else {}
    depthwise = kind == "DEPTHWISE_CONV_2D"
    conv, weights = random_conv(rng, draw_geometry(data.draw, kind, **one), depthwise)
    if not depthwise:
        store(conv, weights, storage, rng)
    scale = rng.uniform(0.001, 0.02, conv.out_c).astype(np.float32)
    g_y = floats(rng, conv.out_h, conv.out_w, conv.out_c)
    g_x = np.full((conv.in_h, conv.in_w, conv.in_c), 7, np.float32)
    kernel = "depthwise_input_grad_f32" if depthwise else "conv_input_grad_f32"
    call(kernel, conv, scale, g_y, g_x, scratch(call(f"{kernel}_scratch_bytes", conv)))
    same(g_x, input_gradient(conv, g_y, weights, scale))


# Updates -------------------------------------------------------------------------------------------------


def units(total: np.float32, rate: np.float32, limit: float) -> int:
    """`U`: halves away from zero."""
    with np.errstate(over="ignore"):
        v = rate * total * np.float32(65536)
    held = np.float32(min(max(v, np.float32(-limit)), np.float32(limit)))
    return -int(math.copysign(int(abs(held) + np.float32(0.5)), held))


KINDS = {
    "rows": ("conv_weights_update_f32", "CONV_2D"),
    "columns": ("conv_columns_update_f32", "CONV_2D"),
    "dense": ("conv_weights_update_f32", "FULLY_CONNECTED"),
    "depthwise": ("depthwise_weights_update_f32", "DEPTHWISE_CONV_2D"),
}


def run_update(draw, kind: str, geometry: Geometry, sgd: Sgd) -> None:
    """One kernel call against the definition."""
    rng, kernel = np.random.default_rng(draw(seeds)), KINDS[kind][0]
    depthwise = kind == "depthwise"
    conv, weights = random_conv(rng, geometry, depthwise)
    x, g_y = int8(rng, (conv.in_h, conv.in_w, conv.in_c)), floats(rng, conv.out_h, conv.out_w, conv.out_c)
    axis = 0 if kind in ("rows", "dense") else weights.ndim - 1
    length, every = weights.shape[axis], draw(st.booleans())
    count = length if every else int(rng.integers(1, length + 1))
    chosen = np.sort(rng.choice(length, count, replace=False)).astype(np.int16)
    numbers = np.take(np.arange(weights.size).reshape(weights.shape), chosen, axis)
    owners = np.take(np.indices(weights.shape)[weights.ndim - 1 if depthwise else 0], chosen, axis)
    part = np.ascontiguousarray(np.take(weights, chosen, axis))
    scale = np.exp(rng.normal(size=conv.out_c)).astype(np.float32)
    state = draw_state(draw, rng, sgd, part.shape, scale, None if every else chosen)
    state.n = count

    centred = (x.astype(np.int64) - conv.in_zero).astype(np.float32)
    sums = np.take(weight_sums(conv, g_y, centred, depthwise, np.float32), chosen, axis)
    wanted, wanted_state = part.copy(), copied(state)
    for at in range(part.size):
        rate = np.float32(sgd.learning_rate) * scale[owners.flat[at]]
        u = units(sums.flat[at], rate, WEIGHT_LIMIT)
        wanted.flat[at] = stepped(int(part.flat[at]), u, at, int(numbers.flat[at]), sgd, wanted_state)

    seen = np.ascontiguousarray(x[..., chosen]) if kind in ("columns", "depthwise") else x
    memory = weights if depthwise else part
    frozen = np.delete(weights, chosen, axis)
    call(kernel, conv, seen, g_y, sgd, state, memory)
    np.testing.assert_array_equal(memory[..., chosen] if depthwise else memory, wanted)
    check_state(state, wanted_state)
    if depthwise:
        np.testing.assert_array_equal(np.delete(memory, chosen, axis), frozen)


@RUNS
@given(st.data(), st.sampled_from(list(KINDS)), optimizers())
def test_weights(data, kind, sgd):
    run_update(data.draw, kind, draw_geometry(data.draw, KINDS[kind][1]), sgd)


@RUNS
@given(st.data(), st.integers(1, 40), st.integers(1, 9), st.booleans(), optimizers())
def test_biases(data, positions, out_c, every, sgd):
    rng = np.random.default_rng(data.draw(seeds))
    g_y = floats(rng, positions, out_c)
    count = out_c if every else int(rng.integers(1, out_c + 1))
    chosen = np.sort(rng.choice(out_c, count, replace=False)).astype(np.int16)
    scale = np.exp(3 * rng.normal(size=out_c)).astype(np.float32)
    state = draw_state(data.draw, rng, sgd, (count,), scale, None if every else chosen, bias=True)
    bias = rng.choice([-(2**30), 2**30, 0, 1234], out_c).astype(np.int32)
    wanted, wanted_state = bias.copy(), copied(state)
    for at, co in enumerate(chosen):
        u = units(added(g_y[:, co]), np.float32(sgd.learning_rate) * scale[co], BIAS_LIMIT)
        wanted[co] = stepped(int(bias[co]), u, at, int(co), sgd, wanted_state, bias=True)
    call("bias_update_f32", g_y, positions, out_c, sgd, state, bias)
    np.testing.assert_array_equal(bias, wanted)
    check_state(state, wanted_state)


# Loss ----------------------------------------------------------------------------------------------------


@RUNS
@given(st.data(), st.integers(1, 40), st.floats(2.0**-10, 0.5, width=32))
def test_cross_entropy(data, n, scale):
    rng = np.random.default_rng(data.draw(seeds))
    q, label = int8(rng, (n,)), data.draw(st.integers(0, n - 1))
    table = np.exp(-scale * np.arange(256)).astype(np.float32)
    g, p_label = np.zeros(n, np.float32), np.zeros(1, np.uint32)
    nonzero = call("softmax_cross_entropy_f32", table, q, n, label, g, p_label)
    terms = table[q.max() - q.astype(np.int64)]
    wanted = terms / added(terms)
    p = wanted[label]
    wanted[label] = -added(np.delete(wanted, label))
    same(g, wanted)
    assert p_label[0] == int(p * np.float32(2**30)) and nonzero == wanted.any()
    real = np.exp(-scale * (q.max() - q.astype(np.float64)))
    real /= real.sum()
    real[label] -= 1
    np.testing.assert_allclose(g, real, rtol=0, atol=1e-6)


@RUNS
@given(st.data(), st.integers(1, 40), st.floats(2.0**-10, 0.5, width=32))
def test_mean_squared_error(data, n, factor):
    rng = np.random.default_rng(data.draw(seeds))
    q, t, g, squares = int8(rng, (n,)), int8(rng, (n,)), np.zeros(n, np.float32), np.zeros(1, np.uint32)
    nonzero = call("mean_squared_error_f32", float(factor), q, t, n, g, squares)
    difference = q.astype(np.int64) - t
    same(g, (2 * difference).astype(np.float32) * np.float32(factor))
    assert squares[0] == (difference**2).sum() and nonzero == difference.any()


@RUNS
@given(st.data(), st.integers(1, 40), st.floats(2.0**-10, 0.5, width=32), st.integers(-128, 127))
def test_binary_cross_entropy(data, n, scale, zero):
    rng = np.random.default_rng(data.draw(seeds))
    q, t = int8(rng, (n,)), rng.choice([0, 1, -3], n).astype(np.int8)
    z, on = float(scale) * (np.arange(-128, 128) - zero), t != 0
    small = np.maximum(1 / (1 + np.exp(np.abs(z))), 1e-30)
    table = np.where(z > 0, -small, small).astype(np.float32)
    g, mean = np.zeros(n, np.float32), np.zeros(1, np.float32)
    nonzero = call("binary_cross_entropy_f32", table, 1 / n, q, t, n, g, mean)
    p, one = table[q.astype(np.int64) + 128], np.float32(1)
    wrong = np.where(on, np.where(p < 0, p, p - one), np.where(p < 0, p + one, p))
    same(g, wrong * np.float32(1 / n))
    assert nonzero == g.any()
    y = z[q.astype(np.int64) + 128]
    np.testing.assert_allclose(g, (1 / (1 + np.exp(-y)) - on) / n, rtol=0, atol=1e-6)
    loss = np.logaddexp(0, y) - on * y
    if loss.max() < 8:
        np.testing.assert_allclose(mean[0], loss.mean(), rtol=1e-3, atol=1e-4)


@RUNS
@given(st.data(), st.integers(1, 40), st.floats(2.0**-10, 0.5, width=32), st.floats(2.0**-10, 0.5, width=32))
def test_reconstruction_error(data, n, y_scale, x_scale):
    rng = np.random.default_rng(data.draw(seeds))
    q, x, g, squares = int8(rng, (n,)), int8(rng, (n,)), np.zeros(n, np.float32), np.zeros(1, np.uint64)
    p = Reconstruction(20000, -3, 5, -7, 17000, 9)
    nonzero = call("reconstruction_error_f32", p, float(y_scale), float(x_scale), 2 / n, q, x, n, g, squares)
    y = (q.astype(np.int64) - 5).astype(np.float32) * np.float32(y_scale)
    wanted = (x.astype(np.int64) + 7).astype(np.float32) * np.float32(x_scale)
    same(g, (y - wanted) * np.float32(2 / n))
    assert nonzero == g.any() and squares[0] == call("reconstruction_squares_s8", p, q, x, n)


# Elementwise ---------------------------------------------------------------------------------------------


@RUNS
@given(st.integers(1, 70), seeds, st.booleans(), st.booleans())
def test_sum_mask_and_sign(n, seed, masked, in_place):
    rng = np.random.default_rng(seed)
    a, b = floats(rng, n), floats(rng, n)
    mask, passing = draw_mask(rng, n, masked)
    for kernel, wanted, arguments in (
        ("add_grads_f32", a + b, (a.copy(), b.copy(), n)),
        ("mask_grad_f32", a * passing, (a.copy(), mask, n)),
        ("negate_grad_f32", -a, (a.copy(), n)),
    ):
        out = arguments[0] if in_place else np.zeros(n, np.float32)
        call(kernel, *arguments, out)
        same(out, wanted)


SPREADS = {"whole": (1, 24), "channel": (1, 4), "pixel": (4, 6), "one": (24, 1)}


@RUNS
@given(st.sampled_from(list(SPREADS)), st.sampled_from(list(SPREADS)), seeds, st.sampled_from([1, -1]))
def test_broadcast_operands(own, other, seed, sign):
    rng, n = np.random.default_rng(seed), 24
    (repeat, size), (b_repeat, b_size) = SPREADS[own], SPREADS[other]
    g, b, zero, scale = floats(rng, n), int8(rng, (b_size,)), int(rng.integers(-128, 128)), 0.0371
    partner = (b[np.arange(n) // b_repeat % b_size].astype(np.int64) - zero).astype(np.float32)
    terms = g * (np.float32(scale) * partner)
    owner = np.arange(n) // repeat % size
    for kernel, values, arguments in (
        ("mul_input_grad_f32", terms, (scale, zero, b, Spread(b_repeat, b_size), g, n, Spread(repeat, size))),
        ("sum_grad_f32", sign * g, (sign, g, n, Spread(repeat, size))),
    ):
        g_x = np.full(size, 9, np.float32)
        call(kernel, *arguments, g_x)
        same(g_x, [added(values[owner == j]) for j in range(size)])


@RUNS
@given(st.integers(1, 70), seeds)
def test_tables(n, seed):
    rng = np.random.default_rng(seed)
    x, g, slope = int8(rng, (n,)), floats(rng, n), rng.integers(-(2**15), 2**15, 256).astype(np.int16)
    g_x = np.zeros(n, np.float32)
    call("lookup_input_grad_f32", slope, x, g, n, g_x)
    same(g_x, g * (slope[x.astype(np.int64) + 128].astype(np.float32) / np.float32(8192)))
    call("logistic_input_grad_f32", x, g, n, g_x)
    p = (x.astype(np.float32) + 128) / 256
    same(g_x, g * (p * (1 - p)))


# Where each output came from -------------------------------------------------------------------------------


@RUNS
@given(seeds, st.lists(st.integers(1, 4), min_size=5, max_size=5))
def test_mean(seed, sizes):
    rng = np.random.default_rng(seed)
    outer, first, middle, second, inner = sizes
    g_y, g_x = floats(rng, outer, middle, inner), np.zeros(sizes, np.float32)
    call("mean_input_grad_f32", g_y, Reduce(*sizes), g_x)
    wanted = (g_y / np.float32(first * second))[:, None, :, None, :]
    same(g_x, np.broadcast_to(wanted, sizes))


@RUNS
@given(st.data(), st.booleans())
def test_pools(data, maximum):
    rng = np.random.default_rng(data.draw(seeds))
    geometry = draw_geometry(data.draw, "DEPTHWISE_CONV_2D")
    conv, _ = random_conv(rng, geometry, True)
    window = (conv.k_h, conv.k_w, conv.stride_h, conv.stride_w, conv.pad_top, conv.pad_left)
    pool = Pool(conv.in_h, conv.in_w, conv.in_c, conv.out_h, conv.out_w, *window)
    shape = (conv.in_h, conv.in_w, conv.in_c)
    x, g_y = rng.integers(-3, 4, shape).astype(np.int8), floats(rng, conv.out_h, conv.out_w, conv.in_c)
    wanted, g_x = np.zeros(shape, np.float32), np.full(shape, 9, np.float32)
    for o, pixels in windows(pool):
        for c in range(conv.in_c):
            if maximum:
                best = max(pixels, key=lambda i: x[i][c])  # the first of equals
                wanted[best][c] += g_y[o][c]
            else:
                for i in pixels:
                    wanted[i][c] += g_y[o][c] / np.float32(len(pixels))
    if maximum:
        call("max_pool_input_grad_f32", pool, x, g_y, g_x)
    else:
        call("average_pool_input_grad_f32", pool, g_y, g_x)
    same(g_x, wanted)


def test_pad_and_concatenation():
    g_y = np.arange(5 * 6 * 4, dtype=np.float32).reshape(5, 6, 4)
    g_x = np.zeros((3, 4, 2), np.float32)
    call("pad_input_grad_f32", Pad(3, 4, 2, 5, 6, 4, 1, 2, 1, 0), g_y, g_x)
    same(g_x, g_y[1:4, 2:6, 1:3])
    g_x = np.zeros((5, 7), np.float32)
    call("concatenation_input_grad_f32", g_y, 5, 7, 24, 11, g_x)
    same(g_x, g_y.reshape(5, 24)[:, 11:18])


@pytest.mark.parametrize("rate", [1e-4, 3e38])
def test_steps_beyond_all_bounds_and_small_ones(rate):
    """A huge rate saturates; 100 steps of 0.1 LSB move a weight by 10."""
    from kernel_runner import UpdateState

    conv, _ = random_conv(
        np.random.default_rng(0), Geometry((1, 1, 6), (1, 1, 1), (1, 1), (1, 1), "VALID"), False
    )
    conv.in_zero = 0
    weights = np.zeros((1, 1, 1, 6), np.int8)
    state = UpdateState(np.ones(1, np.float32), None, None, np.zeros(weights.shape, np.int16), 3, None, 1)
    x, g = np.ones((1, 1, 6), np.int8), np.full((1, 1, 1), -1000, np.float32)
    for step in range(100):
        call("conv_weights_update_f32", conv, x, g, Sgd(rate, 7, step, 0, 1, True), state, weights)
    assert set(weights.reshape(-1).tolist()) == {10 if rate < 1 else 127}
