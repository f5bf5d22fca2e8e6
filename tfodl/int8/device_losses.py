"""The board's loss gradients of int8 logits, one sample at a time (docs/arithmetic.md, "Loss").

Keras's own gradient `dy` tells the target: nothing else reaches a layer while gradients flow back. Written
from the specification, as `device_gradients.py` is.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import tensorflow as tf

from tflm_export.errors import TfodlError
from tfodl.int8.integers import bitlen, fraction_q15, int16, rshift

BATCH_MESSAGE = "gradients='device' trains one sample at a time: use batch_size=1"
TABLE_BITS, PROBABILITY_BITS, FRACTION_BITS = 24, 30, 6
EVERY = np.arange(-128, 128)
Narrowed = tuple[Any, Any]  # int16 values (as int64) and their exponent


@dataclass(frozen=True)
class Quants:
    """Scale and zero point of the logits, and of the model's input.

    known: a variable, how many of the logits, the first ones, are of classes in use; None for all.
    """

    scale: float
    zero_point: int
    input_scale: float = 1.0
    input_zero: int = 0
    known: Any = None


def device_loss(loss: str, q: Any, dy: Any, quants: Quants) -> Narrowed:
    """The gradient of int8 logits `q` [1, ...], in their shape, where Keras has `dy`.

    Raises `TfodlError` for a batch of several.
    """
    if q.shape[0] not in (1, None):
        raise TfodlError(f"Int8Model: {BATCH_MESSAGE}, got {q.shape[0]}.")
    with tf.control_dependencies([tf.debugging.assert_equal(tf.shape(q)[0], 1, BATCH_MESSAGE)]):
        flat = tf.reshape(tf.cast(q, tf.int64), [-1])
    flat = tf.ensure_shape(flat, [math.prod(q.shape[1:])])
    g, e = LOSSES[loss](flat, tf.reshape(dy, [-1]), quants)
    return tf.reshape(g, tf.shape(q)), e


def _crossentropy(q: Any, dy: Any, quants: Quants) -> Narrowed:
    """The label is where `dy` is lowest."""
    table = np.floor(2.0**TABLE_BITS * np.exp(-quants.scale * np.arange(256)) + 0.5).astype(np.int64)
    terms = tf.gather(tf.constant(table), tf.reduce_max(q) - q)
    if quants.known is not None:
        terms *= tf.cast(tf.range(tf.shape(q)[0]) < quants.known, tf.int64)
    total = tf.reduce_sum(terms)
    p = (terms * (1 << PROBABILITY_BITS) + total // 2) // total
    label = tf.one_hot(tf.argmin(dy), q.shape[-1], dtype=tf.int64)
    g = p * (1 - label)
    return _shifted(g - label * tf.reduce_sum(g), -PROBABILITY_BITS)


def _bce(q: Any, dy: Any, quants: Quants) -> Narrowed:
    """A target is 1 where `n dy` is less than the sigmoid by more than a half."""
    n = q.shape[0]
    share, exponent = math.frexp(1 / n)
    p = 1 / (1 + np.exp(-quants.scale * (EVERY - quants.zero_point)))
    one = math.floor(2.0**PROBABILITY_BITS * share + 0.5)
    table = np.floor(2.0**PROBABILITY_BITS * share * p + 0.5).astype(np.int64)
    on = tf.cast(dy, tf.float64) * n - tf.gather(tf.constant(p), q + 128) < -0.5
    g = tf.gather(tf.constant(table), q + 128) - one * tf.cast(on, tf.int64)
    return _shifted(g, exponent - PROBABILITY_BITS)


def _mse(q: Any, dy: Any, quants: Quants) -> Narrowed:
    target = _steps(_target(q, dy, quants), quants.scale, quants.zero_point)
    return _squares((q - target) * 2**FRACTION_BITS, quants.scale, FRACTION_BITS)


def _reconstruction(q: Any, dy: Any, quants: Quants) -> Narrowed:
    """Of the input's int8 values, which the target holds."""
    x = _steps(_target(q, dy, quants), quants.input_scale, quants.input_zero)
    ratio = quants.input_scale / quants.scale
    factor, k = fraction_q15(ratio)
    bits = FRACTION_BITS if ratio <= 2 else max(0, math.floor(math.log2(32767 / 510 / (1 + ratio))))
    wanted = rshift((x - quants.input_zero) * factor, 15 - bits - k)
    return _squares(int16((q - quants.zero_point) * 2**bits - wanted), quants.scale, bits)


def _target(q: Any, dy: Any, quants: Quants) -> Any:
    """The real target of a mean squared error whose gradient is `dy`, float64."""
    real = tf.cast(q - quants.zero_point, tf.float64) * quants.scale
    return real - tf.cast(dy, tf.float64) * (q.shape[0] / 2)


def _steps(real: Any, scale: float, zero_point: int) -> Any:
    """Real values as int8, int64."""
    return tf.clip_by_value(tf.cast(tf.round(real / scale), tf.int64) + zero_point, -128, 127)


def _squares(difference: Any, scale: float, bits: int) -> Narrowed:
    """The gradient of a mean of squares, from differences in 2^-bits LSB."""
    factor, k = fraction_q15(scale / difference.shape[0])
    return int16(rshift(2 * difference * factor, 15)), tf.constant(k - bits, tf.int64)


def _shifted(g: Any, e: int) -> Narrowed:
    s = tf.maximum(bitlen(g) - 14, tf.zeros((), tf.int64))
    return rshift(g, s), s + e


LOSSES: dict[str, Callable[[Any, Any, Quants], Narrowed]] = {
    "crossentropy": _crossentropy,
    "bce": _bce,
    "mse": _mse,
    "reconstruction": _reconstruction,
}
