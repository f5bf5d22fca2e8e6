"""Similarity and velocity against hand-worked values and an implementation written here, neuron by neuron."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tflm_export.errors import TfodlError
from tfodl.selection.velocity import similarity, velocity_update, velocity_update_authors


def cosine(a: list[float], b: list[float]) -> float:
    dot, na, nb = (math.fsum(p * q for p, q in zip(s, t, strict=True)) for s, t in ((a, b), (a, a), (b, b)))
    if na == 0 and nb == 0:
        return 1.0
    return 0.0 if na == 0 or nb == 0 else dot / math.sqrt(na) / math.sqrt(nb)


def by_hand(now: np.ndarray, before: np.ndarray, mode: str) -> list[float]:
    phi = []
    for c in range(now.shape[-1]):
        a, b = now[..., c].astype(float), before[..., c].astype(float)
        if mode == "pooled":
            phi.append(cosine(list(a.ravel()), list(b.ravel())))
        else:
            each = [cosine(list(p.ravel()), list(q.ravel())) for p, q in zip(a, b, strict=True)]
            phi.append(math.fsum(each) / len(each))
    return phi


@pytest.mark.parametrize("mode", ["pooled", "per_sample"])
@pytest.mark.parametrize("shape", [(5, 3, 4, 6), (7, 3), (2, 1, 1, 4), (1, 5, 2)])
def test_similarity_matches_a_float64_implementation(mode, shape):
    rng = np.random.default_rng(sum(shape))
    now = rng.normal(size=shape).astype(np.float32)
    before = (now + rng.normal(size=shape) * 0.3).astype(np.float32)
    now[..., 0] = 0
    before[0, ..., :2] = 0
    np.testing.assert_allclose(similarity(now, before, mode), by_hand(now, before, mode), rtol=0, atol=1e-13)


def test_similarity_by_hand():
    now = np.array([[[1.0], [0.0]], [[3.0], [4.0]]])
    before = np.array([[[1.0], [1.0]], [[4.0], [3.0]]])
    assert similarity(now, before)[0] == pytest.approx(25 / math.sqrt(26 * 27), abs=1e-15)
    assert similarity(now, before, "per_sample")[0] == pytest.approx(
        (math.sqrt(0.5) + 24 / 25) / 2, abs=1e-15
    )


@settings(max_examples=50, deadline=None)
@given(st.floats(1e-20, 1e20), st.integers(0, 1000))
def test_similarity_ignores_scale_and_stays_in_range(scale, seed):
    rng = np.random.default_rng(seed)
    now, before = rng.normal(size=(2, 4, 3, 2))
    phi = similarity(now, before)
    assert (abs(phi) <= 1).all()
    np.testing.assert_allclose(similarity(now * scale, before), phi, atol=1e-12)


def test_velocity_of_three_epochs_by_hand():
    phi, previous, seen = 1.0, np.zeros(1), []
    for now in (0.5, 0.75, 0.75):
        previous = velocity_update([now - phi], previous, mu=0.5)
        phi = now
        seen.append(float(previous[0]))
    assert seen == [-0.5, 0.5, -0.25]  # -.5; .25 + .25; 0 - .25


def test_authors_variant_of_three_epochs_by_hand():
    phi, memory, seen = 1.0, np.zeros(1), []
    for now in (0.5, 0.75, 0.75):
        v, memory = velocity_update_authors([now - phi], memory, mu=0.5)
        phi = now
        seen.append((float(v[0]), float(memory[0])))
    assert seen == [(-0.5, -0.25), (0.5, 0.0), (0.0, 0.0)]


@pytest.mark.parametrize(
    "call",
    [
        lambda: similarity(np.zeros((2, 3)), np.zeros((2, 4))),
        lambda: similarity(np.zeros(3), np.zeros(3)),
        lambda: similarity(np.zeros((0, 3)), np.zeros((0, 3))),
        lambda: similarity(np.zeros((2, 3)), np.zeros((2, 3)), "other"),
        lambda: velocity_update([0.0], [0.0], mu=1.0),
    ],
)
def test_bad_arguments(call):
    with pytest.raises(TfodlError):
        call()
