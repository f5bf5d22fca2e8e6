"""Update kernels: weights, biases and optimizer state against kernel_reference.py, integer by integer."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from kernel_cases import Geometry, draw_geometry, int8, random_conv
from kernel_draws import check_state, copied, draw_state, optimizers
from kernel_reference import stepped, units, weight_sums
from kernel_runner import Sgd, UpdateState, call, scratch

RUNS = settings(max_examples=40, deadline=None, suppress_health_check=list(HealthCheck))
seeds = st.integers(0, 2**32 - 1)
WEIGHT_UNITS, BIAS_UNITS = 2**19, 2**46
KINDS = {
    "rows": ("conv_weights_update_s8", "CONV_2D"),
    "columns": ("conv_columns_update_s8", "CONV_2D"),
    "dense": ("fully_connected_weights_update_s8", "FULLY_CONNECTED"),
    "depthwise": ("depthwise_weights_update_s8", "DEPTHWISE_CONV_2D"),
}


def expected(weights: np.ndarray, sums: np.ndarray, numbers, owners, exponent, sgd: Sgd, state: UpdateState):
    """`weights` after the step. numbers: flat indices in the tensor; owners: output channels."""
    out = weights.copy()
    for at in range(weights.size):
        rate = np.float32(sgd.learning_rate) * state.scale[owners.flat[at]]
        u = max(1 - WEIGHT_UNITS, units(int(sums.flat[at]), rate, exponent, WEIGHT_UNITS))
        out.flat[at] = stepped(int(weights.flat[at]), u, at, int(numbers.flat[at]), sgd, state)
    return out


def run_update(draw, kind: str, geometry: Geometry, sgd: Sgd) -> None:
    """One kernel call against the reference."""
    rng, (kernel, op) = np.random.default_rng(draw(seeds)), KINDS[kind]
    conv, weights = random_conv(rng, geometry, op == "DEPTHWISE_CONV_2D")
    x = int8(rng, (conv.in_h, conv.in_w, conv.in_c))
    g_y = rng.integers(-32767, 32768, (conv.out_h, conv.out_w, conv.out_c)).astype(np.int16)
    g_y[rng.random(g_y.shape) < 0.2] = 0
    masked, every = draw(st.booleans()), draw(st.booleans())
    passing = rng.integers(0, 2, g_y.shape) if masked else np.ones(g_y.shape, np.int64)
    mask = np.packbits(passing.reshape(-1).astype(np.uint8), bitorder="little") if masked else None

    axis = 0 if kind in ("rows", "dense") else weights.ndim - 1
    length = weights.shape[axis]
    count = length if every else int(rng.integers(1, length + 1))
    chosen = np.sort(rng.choice(length, count, replace=False)).astype(np.int16)
    numbers = np.take(np.arange(weights.size).reshape(weights.shape), chosen, axis)
    owner_axis = weights.ndim - 1 if kind == "depthwise" else 0
    owner = np.indices(weights.shape)[owner_axis]
    owners = np.take(owner, chosen, axis)
    part = np.ascontiguousarray(np.take(weights, chosen, axis))
    scale = np.exp(rng.normal(size=conv.out_c)).astype(np.float32)
    state = draw_state(draw, rng, sgd, part.shape, scale, None if every else chosen)
    state.n = count

    exponent = draw(st.integers(-45, 5))
    centred = x.astype(np.int64) - conv.in_zero
    sums = weight_sums(conv, g_y * passing, centred, kind == "depthwise")
    wanted_state = copied(state)
    wanted = expected(part, np.take(sums, chosen, axis), numbers, owners, exponent, sgd, wanted_state)

    seen = np.ascontiguousarray(x[..., chosen]) if kind in ("columns", "depthwise") else x
    memory = weights if kind == "depthwise" else part
    arguments = [conv, seen, g_y, exponent, mask, sgd, state, memory]
    if kind != "dense":
        size = [count] if kind == "columns" else []
        arguments.append(scratch(call(f"{kernel}_scratch_bytes", conv, *size)))
    frozen = np.delete(weights, chosen, axis) if kind == "depthwise" else None
    call(kernel, *arguments)
    got = memory[..., chosen] if kind == "depthwise" else memory
    np.testing.assert_array_equal(got, wanted)
    check_state(state, wanted_state)
    if frozen is not None:
        np.testing.assert_array_equal(np.delete(memory, chosen, axis), frozen)


@RUNS
@given(st.data(), st.sampled_from(list(KINDS)), optimizers())
def test_weights(data, kind, sgd):
    run_update(data.draw, kind, draw_geometry(data.draw, KINDS[kind][1]), sgd)


@settings(RUNS, max_examples=6)
@given(st.data(), st.sampled_from(["rows", "columns", "depthwise"]), st.sampled_from([1, 3]), optimizers())
def test_weights_of_wide_maps(data, kind, k, sgd):
    """Over 256 positions, so that the sums leave int32."""
    o = 2 if kind == "depthwise" else 3
    run_update(data.draw, kind, Geometry((20, 33, 2), (20, 33, o), (k, k), (1, 1), "SAME"), sgd)


def test_largest_sums_do_not_overflow():
    """Every gradient and every input at its extreme, 256 positions and one more."""
    for width in (256, 257):
        rng = np.random.default_rng(0)
        conv, weights = random_conv(
            rng, Geometry((1, width, 1), (1, width, 1), (1, 1), (1, 1), "SAME"), False
        )
        x, g = np.full((1, width, 1), -128, np.int8), np.full((1, width, 1), -32767, np.int16)
        conv.in_zero = 127
        sgd = Sgd(1.0, 1, 2, 0, 1, True)
        state = UpdateState(np.ones(1, np.float32), None, None, np.zeros((1, 1, 1, 1), np.int16), 0, None, 1)
        weights[...] = 0
        exponent = -24  # 32767 * 255 * 256 / 2^24 = 127.5 LSB, downwards: the step is bounded to 8
        wanted_state = copied(state)
        sums = np.full((1, 1, 1, 1), 32767 * 255 * width)
        wanted = expected(
            weights, sums, np.zeros_like(sums), np.zeros_like(sums), exponent, sgd, wanted_state
        )
        nbytes = call("conv_weights_update_s8_scratch_bytes", conv)
        call("conv_weights_update_s8", conv, x, g, exponent, None, sgd, state, weights, scratch(nbytes))
        np.testing.assert_array_equal(weights, wanted)
        assert weights[0, 0, 0, 0] == -8
        check_state(state, wanted_state)


@RUNS
@given(
    st.data(),
    st.integers(1, 60),
    st.sampled_from([1, 3, 8, 12, 24]),
    st.booleans(),
    st.booleans(),
    optimizers(),
)
def test_biases(data, positions, out_c, masked, every, sgd):
    rng = np.random.default_rng(data.draw(seeds))
    g_y = rng.integers(-32767, 32768, (positions, out_c)).astype(np.int16)
    passing = rng.integers(0, 2, g_y.shape) if masked else np.ones(g_y.shape, np.int64)
    mask = np.packbits(passing.reshape(-1).astype(np.uint8), bitorder="little") if masked else None
    chosen = (
        np.arange(out_c) if every else np.sort(rng.choice(out_c, rng.integers(1, out_c + 1), replace=False))
    )
    scale = np.exp(3 * rng.normal(size=out_c)).astype(np.float32)
    channels = None if every else chosen.astype(np.int16)
    state = draw_state(data.draw, rng, sgd, (len(chosen),), scale, channels, bias=True)
    bias = rng.choice([-(2**30), 2**30, 0, 1234], out_c).astype(np.int32)
    exponent = data.draw(st.integers(-45, 5))
    wanted, wanted_state = bias.copy(), copied(state)
    sums = (g_y.astype(np.int64) * passing).sum(0)
    for at, co in enumerate(chosen):
        u = units(int(sums[co]), np.float32(sgd.learning_rate) * scale[co], exponent, BIAS_UNITS)
        wanted[co] = stepped(int(bias[co]), u, at, int(co), sgd, wanted_state, bias=True)
    call("bias_update_s32", g_y, exponent, mask, positions, out_c, sgd, state, bias)
    np.testing.assert_array_equal(bias, wanted)
    check_state(state, wanted_state)


@pytest.mark.parametrize("rounding", [0, 1])
def test_small_steps_arrive_on_average(rounding):
    """A step of 0.1 LSB moves the weight by 10 in 100 steps (stochastic: on average over 200 weights)."""
    n = 200
    conv, _ = random_conv(
        np.random.default_rng(0), Geometry((1, 1, n), (1, 1, 1), (1, 1), (1, 1), "VALID"), False
    )
    conv.in_zero = 0
    weights = np.zeros((1, 1, 1, n), np.int8)
    state = UpdateState(np.ones(1, np.float32), None, None, np.zeros(weights.shape, np.int16), 3, None, 1)
    x, g = np.full((1, 1, n), 1, np.int8), np.full((1, 1, 1), -1000, np.int16)
    for step in range(100):
        sgd = Sgd(1e-4, 7, step, 0, rounding, True)
        call("fully_connected_weights_update_s8", conv, x, g, 0, None, sgd, state, weights)
    assert weights.mean() == pytest.approx(10, abs=0.5)
    assert rounding == 0 or set(weights.reshape(-1).tolist()) == {10}


def test_a_subnormal_rate():
    """lr * c below the normal floats is still taken exactly."""
    conv, _ = random_conv(
        np.random.default_rng(0), Geometry((1, 1, 1), (1, 1, 1), (1, 1), (1, 1), "VALID"), False
    )
    conv.in_zero = 0
    state = UpdateState(
        np.array([2.0**-30], np.float32), None, None, np.zeros((1, 1, 1, 1), np.int16), 0, None, 1
    )
    sgd = Sgd(2.0**-110, 0, 0, 0, 1, True)
    weights = np.zeros((1, 1, 1, 1), np.int8)
    x, g = np.full((1, 1, 1), 1, np.int8), np.full((1, 1, 1), -3, np.int16)
    call("fully_connected_weights_update_s8", conv, x, g, 140, None, sgd, state, weights)
    assert weights[0, 0, 0, 0] == 3
