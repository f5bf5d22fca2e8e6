"""The integer primitives against Python's unbounded integers and values worked by hand."""

import math
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tflm_export.gradients.update import Rule, Settings, Step, UpdateState, update
from tflm_export.ops import arithmetic as ar
from tflm_export.ops.loss import crossentropy_gradient, exp_table, mse_gradient

INT16 = st.integers(-32767, 32767)


@given(st.integers(-(2**45), 2**45), st.integers(0, 40))
def test_rshift_rounds_half_up(x, s):
    assert int(ar.rshift(x, s)) == math.floor(Fraction(x, 2**s) + Fraction(1, 2))


@given(st.lists(st.integers(-(2**31) + 1, 2**31 - 1), min_size=1), st.integers(0, 20), st.integers(-40, 0))
def test_narrow_keeps_the_value_within_half_a_step(acc, shift, exponent):
    gradient, following = ar.narrow(np.array(acc), exponent, shift)
    used = gradient.exponent - exponent
    for g, a in zip(gradient.values.tolist(), acc, strict=True):
        exact = Fraction(a, 2**used)
        assert abs(g - exact) <= Fraction(1, 2) or abs(g) == 32767 and abs(exact) < 32768
    n = max(abs(a) for a in acc).bit_length()
    assert used == (shift if n == 0 or 11 <= n - shift <= 15 else max(0, n - 13))
    assert following == (n - 13 if n - used == 15 else used)


@given(INT16, INT16, st.integers(-60, 0), st.integers(-60, 0))
def test_align_adds_within_one_step_of_the_coarser(v1, v2, e1, e2):
    total, exponent = ar.align(ar.Gradient(np.array([v1]), e1), ar.Gradient(np.array([v2]), e2))
    exact = v1 * Fraction(2) ** e1 + v2 * Fraction(2) ** e2
    assert abs(int(total[0]) * Fraction(2) ** exponent - exact) <= Fraction(2) ** exponent / 2
    assert exponent == max(min(e1, e2), max(e1, e2) - 15)
    assert abs(int(total[0])) < 2**31


def mix_by_hand(x):
    x ^= x >> 16
    x = x * 0x7FEB352D % 2**32
    x ^= x >> 15
    x = x * 0x846CA68B % 2**32
    return x ^ (x >> 16)


@given(*[st.integers(0, 2**32 - 1)] * 2, st.integers(0, 2**20), st.integers(0, 10**6))
def test_random_numbers_are_the_hash_of_the_specification(seed, step, tensor, i):
    key = mix_by_hand(mix_by_hand((seed + 0x9E3779B9 * step) % 2**32) ^ (0x85EBCA6B * tensor % 2**32))
    assert ar.random_key(seed, step, tensor) == key
    assert ar.random_bits(key, np.array([i])).tolist() == [mix_by_hand((key + i) % 2**32) >> 16]


def test_random_numbers_are_uniform():
    r = ar.random_bits(ar.random_key(7, 3, 5), np.arange(1 << 16))
    assert abs(r.mean() - 32767.5) < 3 * 65536 / math.sqrt(12 * r.size)
    counts = np.bincount(r >> 12, minlength=16)
    assert ((counts - 4096) ** 2 / 4096).sum() < 37.7  # chi-square, 15 degrees of freedom, p = 0.001


@given(
    st.integers(-(2**40), 2**40),
    st.floats(-1e6, 1e6, width=32).filter(lambda r: r == 0 or abs(r) > 1e-30),
    st.integers(-80, 40),
    st.sampled_from([ar.WEIGHT_LIMIT, ar.BIAS_LIMIT]),
)
def test_step_units_is_the_exact_floor(total, rate, exponent, limit):
    units = ar.step_units(np.array([total]), np.array([rate], np.float32), exponent, limit)
    clamped = max(-(2**38 - 1), min(2**38 - 1, total))
    exact = -math.floor(clamped * Fraction(float(np.float32(rate))) * Fraction(2) ** (exponent + 16))
    assert units.tolist() == [max(-limit, min(limit, exact))]


@given(st.integers(-127, 127), st.integers(-(2**24) + 1, 2**24 - 1), st.integers(-(2**15), 2**15 - 1))
def test_accumulator_loses_nothing(weight, units, rest):
    settings = Settings(momentum=0, batch=1, rounding="accumulator", seed=0)
    state = UpdateState(None, None, np.array([rest]))
    new = update(
        np.array([weight]), Step(np.array([units]), 0, True), np.array([0]), Rule(0, False), settings, state
    )
    exact = weight * 65536 + units + rest
    kept = int(new[0]) * 65536 + int(state.accumulator[0])
    assert kept == exact or (
        abs(int(new[0])) == 127 and state.accumulator[0] == 0 and abs(exact) > 127 * 65536 - 2**15
    )
    assert -(2**15) <= state.accumulator[0] < 2**15


def test_stochastic_rounding_is_unbiased():
    settings = Settings(momentum=0, batch=1, rounding="stochastic", seed=3)
    n = 1 << 14
    units = np.full(n, 65536 // 4 + 65536)
    state = UpdateState.zeros((n,), settings)
    new = update(np.zeros(n, int), Step(units, 0, True), np.arange(n), Rule(2, False), settings, state)
    assert set(new.tolist()) == {1, 2}
    assert abs(new.mean() - 1.25) < 4 * math.sqrt(0.25 * 0.75 / n)


def test_momentum_and_batch_by_hand():
    settings = Settings(momentum=0.5, batch=2, rounding="accumulator", seed=0)
    state = UpdateState.zeros((1,), settings)
    rule, index, w = Rule(0, False), np.array([0]), np.array([10])
    unit = np.array([1 << 16])
    w = update(w, Step(unit, 0, False), index, rule, settings, state)
    assert w.tolist() == [10]
    w = update(w, Step(unit, 1, True), index, rule, settings, state)
    assert (w.tolist(), state.momentum.tolist(), state.batch.tolist()) == ([12], [2 << 16], [0])
    w = update(w, Step(0 * unit, 2, False), index, rule, settings, state)
    w = update(w, Step(0 * unit, 3, True), index, rule, settings, state)
    assert (w.tolist(), state.momentum.tolist()) == ([13], [1 << 16])


@given(st.lists(st.integers(-128, 127), min_size=2, max_size=20), st.floats(0.001, 0.5), st.data())
def test_crossentropy_gradient_is_softmax_minus_one_hot(logits, scale, data):
    label = data.draw(st.integers(0, len(logits) - 1))
    q = np.array(logits, np.int8)
    real = scale * q.astype(np.float64)
    expected = np.exp(real - real.max()) / np.exp(real - real.max()).sum()
    expected[label] -= 1
    gradient = crossentropy_gradient(q, label, exp_table(scale))
    step = 2.0**gradient.exponent
    np.testing.assert_allclose(gradient.real(), expected, atol=step + 1e-6)
    assert np.abs(gradient.values).max() <= 2**14


@given(st.lists(st.tuples(*[st.integers(-128, 127)] * 2), min_size=1, max_size=20), st.floats(1e-4, 2.0))
def test_mse_gradient(pairs, scale):
    y, t = (np.array(column, np.int8) for column in zip(*pairs, strict=True))
    expected = 2 * scale * (y.astype(float) - t) / y.size
    gradient = mse_gradient(y, t, scale)
    np.testing.assert_allclose(gradient.real(), expected, atol=2.0**gradient.exponent, rtol=2e-4)


@pytest.mark.parametrize("real, factor", [(1.0, (16384, 1)), (1 / 3, (21845, -1)), (0.9999999, (32767, 0))])
def test_fraction_q15_by_hand(real, factor):
    assert ar.fraction_q15(real) == factor
