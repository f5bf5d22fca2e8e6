"""Velocity as the device measures it: sums of int8 outputs, then float32 in a fixed order.

The mathematics is that of `tfodl.selection.velocity` (Quélennec et al., WACV-W 2024, eq. 1-3).
"""

from __future__ import annotations

import numpy as np


def similarity_sums(now: np.ndarray, before: np.ndarray, zero: int, shift: int) -> np.ndarray:
    """Sums of one sample, int64 [3, C]: now · before, now², before² over positions, moved right by `shift`.

    now, before: outputs int8 [..., C] of a layer with today's and last epoch's weights; zero: zero point.

    >>> similarity_sums(np.int8([[3, 1]]), np.int8([[2, 1]]), 1, 0).tolist()
    [[2, 0], [4, 0], [1, 0]]
    """
    a, b = (y.reshape(-1, y.shape[-1]).astype(np.int64) - zero for y in (now, before))
    result: np.ndarray = np.stack([(a * b).sum(0), (a * a).sum(0), (b * b).sum(0)]) >> shift
    return result


def cosine(sums: np.ndarray) -> np.ndarray:
    """phi float32 [C] of sums [3, C]: `dot / sqrt(now² before²)` in [-1, 1]; 1 where both norms are
    zero, 0 where one is. A channel that did not change has exactly 1, for `sqrt(x x)` is `x`.

    >>> cosine(np.array([[8, 0, 0], [16, 0, 1], [4, 0, 0]])).tolist()
    [1.0, 1.0, 0.0]
    """
    dot, now, before = sums.astype(np.float32)
    norms = np.sqrt(now * before)
    phi = np.clip(dot / np.where(norms > 0, norms, np.float32(1)), np.float32(-1), np.float32(1))
    neither = ((now == 0) & (before == 0)).astype(np.float32)
    result: np.ndarray = np.where(norms > 0, phi, neither).astype(np.float32)
    return result


def velocity(phi: np.ndarray, last_phi: np.ndarray, last: np.ndarray, mu: float) -> np.ndarray:
    """`v = (phi - last phi) - mu · last v`, float32 [C], every operation rounded by itself."""
    result: np.ndarray = (phi - last_phi) - np.float32(mu) * last
    assert result.dtype == np.float32
    return result
