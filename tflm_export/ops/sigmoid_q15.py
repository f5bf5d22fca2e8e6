"""Sigmoid and tanh in 16 bits, as TensorFlow Lite's recurrent layers take them: one table and interpolation.

>>> logistic(np.array([0, 4096, -4096, 32767])).tolist()
[16384, 23956, 8812, 32757]
>>> tanh(np.array([0, 4096, -4096, -32768]), 3, 0).tolist()
[0, 24956, -24956, -32767]
"""

from __future__ import annotations

import numpy as np


def _table() -> np.ndarray:
    """`2^16 / (1 + exp(-i / 24))`, i = 0..255, raised by half of what straight lines between fall short."""
    s = 1 / (1 + np.exp(-np.arange(256) / 24))
    raised = s + s * (1 - s) * (2 * s - 1) / 24**2 / 16
    table: np.ndarray = np.floor(2**16 * raised + 0.5).astype(np.int64)
    table[255] = 2**16 - 1
    return table


TABLE = _table()
Q12_TO_TABLE = 3  # 2^-12 times 3 is 1/24 in 2^-9 for the sigmoid, of 2 x in 2^-8 for tanh
LOWEST, HIGHEST = -(2**15), 2**15 - 1


def logistic(x: np.ndarray) -> np.ndarray:
    """`2^15 / (1 + exp(-x))` of x int64 in 2^-12; int64."""
    x = np.asarray(x, np.int64) * Q12_TO_TABLE
    found = _between(np.abs(x), 9, HIGHEST << 10)
    result: np.ndarray = np.where(x >= 0, found + 2**9, 2**25 - found + 2**9 - 1) >> 10
    return result


def tanh(x: np.ndarray, multiplier: int, shift: int) -> np.ndarray:
    """`2^15 tanh`, int64, of x int64 that `x multiplier / 2^shift` brings to 1/3 of 2^-12."""
    x = (np.asarray(x, np.int64) * multiplier + ((1 << shift) >> 1)) >> shift
    found = _between(np.abs(x), 8, 0xFFFF << 8) - 2**23
    result: np.ndarray = (np.where(x >= 0, found, -found - 1) + 2**7) >> 8
    return result


def tanh_scaling(power: int) -> tuple[int, int]:
    """`multiplier`, `shift` for `tanh` of values in `2^power`."""
    left = power + 12
    return (Q12_TO_TABLE << left, 0) if left >= 0 else (Q12_TO_TABLE, -left)


def _between(x: np.ndarray, bits: int, highest: int) -> np.ndarray:
    """Interpolated in the table, whose steps are `2^bits`."""
    i = np.minimum(x >> bits, 254)
    inside = (TABLE[i] << bits) + (x & (2**bits - 1)) * (TABLE[i + 1] - TABLE[i])
    return np.where(x >> bits >= 255, highest, inside)
