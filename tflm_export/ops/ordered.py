"""Sums in the order of the board's float32 kernels, one rounded product and one rounded addition at a time.

numpy's own `sum` and `@` take any order, which changes the last bits of a float32.

>>> total(np.array([[1.0], [2.0**-24], [2.0**-24]], np.float32)).tolist()
[1.0]
"""

from __future__ import annotations

import numpy as np


def total(values: np.ndarray) -> np.ndarray:
    """`values` [n, ...] summed over n, the first one first."""
    result: np.ndarray = np.add.accumulate(values, axis=0)[-1]
    return result


def add_products(out: np.ndarray, g: np.ndarray, weights: np.ndarray) -> None:
    """`out += g @ weights`, channel by channel: out [P, Q, C], g [P, Q, O], weights [O, C]."""
    for o, row in enumerate(weights):
        out += g[..., o, None] * row


def outer(g: np.ndarray, x: np.ndarray) -> np.ndarray:
    """`g.T @ x`, position by position: g [n, O], x [n, C] -> [O, C]."""
    out = np.zeros((g.shape[1], x.shape[1]), g.dtype)
    for g_p, x_p in zip(g, x, strict=True):
        out += g_p[:, None] * x_p
    return out
