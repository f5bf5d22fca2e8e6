"""What the kernel tests draw, and how they compare: gradients, masks, settings and state of an optimizer."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import strategies as st
from kernel_runner import Conv, Sgd, UpdateState

seeds = st.integers(0, 2**32 - 1)
shifts = st.integers(0, 20)
exponents = st.integers(-40, 10)
EPSILON = 1e-5


def int16(rng: np.random.Generator, shape, bits: int = 15) -> np.ndarray:
    """Gradients of at most `bits` bits, zeros and the extremes among them."""
    top = 2**bits - 1
    g = rng.integers(-top, top + 1, shape)
    return np.where(rng.random(shape) < 0.1, rng.choice([0, top, -top], shape), g).astype(np.int16)


def draw_mask(rng: np.random.Generator, size: int, wanted: bool) -> tuple[np.ndarray | None, np.ndarray]:
    """Packed bits, or None; and what they say, 0 or 1."""
    passing = rng.integers(0, 2, size) if wanted else np.ones(size, np.int64)
    return (np.packbits(passing.astype(np.uint8), bitorder="little") if wanted else None), passing


def check_real(function: Callable[[np.ndarray], np.ndarray], x: np.ndarray, g_y: np.ndarray, got: np.ndarray):
    """`got` is the gradient of sum(g_y * function(x)) at x, by central differences: cosine >= 0.999 and the
    same length within 1 %."""
    wanted = np.zeros(x.size)
    for i in range(x.size):
        step = np.zeros(x.size)
        step[i] = EPSILON * max(1.0, abs(x.flat[i]))
        step = step.reshape(x.shape)
        wanted[i] = (g_y * (function(x + step) - function(x - step))).sum() / (2 * step.flat[i])
    norm, length = np.linalg.norm(wanted), np.linalg.norm(got)
    if norm == 0:
        assert length == 0
        return
    assert wanted @ got.reshape(-1) / (norm * length) >= 0.999
    assert length == pytest.approx(norm, rel=0.01)


def real(g: np.ndarray, exponent: int) -> np.ndarray:
    return np.ldexp(g.astype(np.float64), exponent)


def store(conv: Conv, weights: np.ndarray, storage: str, rng: np.random.Generator) -> None:
    """Move some rows or columns to RAM."""
    if storage == "flash":
        return
    axis, length = (3, conv.in_c) if storage == "columns" else (0, conv.out_c)
    chosen = np.sort(rng.choice(length, rng.integers(1, length + 1), replace=False)).astype(np.int16)
    conv.trained, conv.weights = np.ascontiguousarray(np.take(weights, chosen, axis)), weights.copy()
    if storage == "columns":
        conv.columns, conv.n_columns = chosen, len(chosen)
        conv.weights[..., chosen] = -99
    else:
        conv.slot = np.full(length, -1, np.int16)
        conv.slot[chosen] = np.arange(len(chosen))
        conv.weights[chosen] = 99


@st.composite
def optimizers(draw) -> Sgd:
    """Any settings; some learning rates move nothing, some saturate everything."""
    rate = float(np.float32(math.ldexp(draw(st.floats(0.5, 1.0)), draw(st.integers(-30, 20)))))
    momentum = draw(st.sampled_from([0, 0, 16384, 29491, 32767]))
    rounding, apply = draw(st.integers(0, 1)), draw(st.booleans())
    return Sgd(rate, draw(seeds), draw(st.integers(0, 2**32 - 1)), momentum, rounding, apply)


def draw_state(
    draw, rng, sgd: Sgd, shape: tuple[int, ...], scale: np.ndarray, channels, bias=False
) -> UpdateState:
    """State arrays as the settings ask for them, full of earlier values."""

    def array(dtype, top):
        return rng.integers(-top, top, shape).astype(dtype)

    batch = array(np.int32, 2**26) if not sgd.apply or draw(st.booleans()) else None
    momentum = array(np.int32, 2**30) if sgd.momentum else None
    accumulator = array(np.int16, 2**15) if sgd.rounding == 1 and not bias else None
    tensor = draw(st.integers(0, 400))
    return UpdateState(scale, batch, momentum, accumulator, tensor, channels, shape_count(shape, channels))


def shape_count(shape: tuple[int, ...], channels: np.ndarray | None) -> int:
    return shape[0] if channels is None else len(channels)


def copied(state: UpdateState) -> UpdateState:
    arrays = {k: v.copy() for k, v in vars(state).items() if isinstance(v, np.ndarray)}
    return UpdateState(**(vars(state) | arrays))


def check_state(got: UpdateState, wanted: UpdateState) -> None:
    for name in ("batch", "momentum", "accumulator"):
        a, b = getattr(got, name), getattr(wanted, name)
        if a is not None:
            np.testing.assert_array_equal(a, b)
