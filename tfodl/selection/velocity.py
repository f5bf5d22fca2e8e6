"""Velocity of neurons (Quélennec et al., WACV-W 2024, eq. 1-7; after NEq, Bragagnolo et al., NeurIPS 2022).

A neuron's similarity phi is the cosine between its outputs now and one epoch ago, over the validation inputs;
its velocity is the change of phi with the previous velocity as a brake. Everything here is numpy, float64.
"""

from __future__ import annotations

from typing import Any, Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from tflm_export.errors import TfodlError

Mode = Literal["pooled", "per_sample"]
MODES = ("pooled", "per_sample")
Array = NDArray[np.float64]


def similarity(now: ArrayLike, before: ArrayLike, mode: Mode = "pooled") -> Array:
    """`phi [C]`: cosine of every neuron's outputs `now` and `before`, `[N, ..., C]` each.

    pooled: one cosine over samples and positions (the paper, eq. 1). per_sample: one cosine a sample over its
    positions, then the mean over samples (the authors' code). Two zero vectors are alike (1), one is not (0).

    Raises `TfodlError` when the shapes differ, have no sample axis, or `mode` is unknown.

    >>> similarity([[1.0, 2.0], [0.0, 0.0]], [[1.0, 0.0], [0.0, 0.0]]).tolist()
    [1.0, 0.0]
    """
    check_mode(mode)
    a, b = np.asarray(now, np.float64), np.asarray(before, np.float64)
    if a.shape != b.shape or a.ndim < 2 or a.size == 0:
        raise TfodlError(
            f"similarity: outputs must be two arrays [N, ..., C] of one shape, got {a.shape} and {b.shape}."
        )
    a, b = (t.reshape(t.shape[0], -1, t.shape[-1]) for t in (a, b))
    sums = np.stack([(a * b).sum(1), (a * a).sum(1), (b * b).sum(1)])
    return cosine(*sums.sum(1)) if mode == "pooled" else cosine(*sums).mean(0)


def cosine(dot: Array, now: Array, before: Array) -> Array:
    """`dot / sqrt(now · before)` in [-1, 1]; 1 where both norms are zero, 0 where one is."""
    norms = np.sqrt(now) * np.sqrt(before)
    safe = np.where(norms > 0, norms, 1.0)
    both_zero = (now == 0) & (before == 0)
    return np.where(norms > 0, np.clip(dot / safe, -1.0, 1.0), np.where(both_zero, 1.0, 0.0))


def velocity_update(delta_phi: ArrayLike, previous: ArrayLike, mu: float = 0.5) -> Array:
    """`v^t = Δphi^t − mu · v^(t−1)` (eq. 3). delta_phi, previous: `[C]`; mu in [0, 1).

    >>> velocity_update([-0.5], [0.25]).tolist()
    [-0.625]
    """
    return np.asarray(delta_phi, np.float64) - _momentum(mu) * np.asarray(previous, np.float64)


def velocity_update_authors(delta_phi: ArrayLike, memory: ArrayLike, mu: float = 0.5) -> tuple[Array, Array]:
    """What the authors' code computes: `v^t = Δphi^t − m^(t−1)`, `m^t = mu m^(t−1) + (1 − mu) Δphi^t`.

    Returns `(v [C], m [C])`; pass `m` as `memory` the next time, zeros the first.

    >>> v, m = velocity_update_authors([-0.5], [0.25])
    >>> v.tolist(), m.tolist()
    ([-0.75], [-0.125])
    """
    delta, m = np.asarray(delta_phi, np.float64), np.asarray(memory, np.float64)
    return delta - m, _momentum(mu) * m + (1 - mu) * delta


def check_mode(mode: str) -> None:
    """Raises `TfodlError` unless `mode` is a similarity of this module."""
    if mode not in MODES:
        raise TfodlError(f"similarity: mode must be one of {MODES}, got {mode!r}.")


def _momentum(mu: Any) -> float:
    if not isinstance(mu, (int, float)) or not 0 <= mu < 1:
        raise TfodlError(f"velocity: mu must be a number in [0, 1), got {mu!r}.")
    return float(mu)
