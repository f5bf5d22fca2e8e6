"""The integer primitives of docs/arithmetic.md in TensorFlow: everything is int64."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import tensorflow as tf

SMALLEST_POWER, LARGEST_POWER = -400, 400
POWERS = 2.0 ** np.arange(SMALLEST_POWER, LARGEST_POWER + 1)


def power(e: Any) -> Any:
    """2^e exactly, float64; `e` int64 within +-400."""
    return tf.gather(tf.constant(POWERS), tf.clip_by_value(e, SMALLEST_POWER, LARGEST_POWER) - SMALLEST_POWER)


def rshift(x: Any, s: Any) -> Any:
    """Shift right by `s` >= 0, halves up; int64."""
    s = tf.broadcast_to(tf.cast(s, tf.int64), tf.shape(x))
    half = tf.bitwise.right_shift(tf.bitwise.left_shift(tf.ones_like(s), s), tf.ones_like(s))
    return tf.bitwise.right_shift(x + half, s)


def bitlen(x: Any) -> Any:
    """Bits of the largest magnitude in `x` int64; 0 when all are 0."""
    largest = tf.reduce_max(tf.abs(x))
    return tf.reduce_sum(tf.cast(largest >= tf.constant(2 ** np.arange(62)), tf.int64))


def int16(x: Any) -> Any:
    """Saturated to +-32767."""
    return tf.clip_by_value(x, -32767, 32767)


def fraction_q15(real: float) -> tuple[int, int]:
    """`(F, k)` with `real ~ F * 2^(k - 15)`."""
    f, k = math.frexp(real)
    return min(32767, math.floor(f * 2**15 + 0.5)), k
