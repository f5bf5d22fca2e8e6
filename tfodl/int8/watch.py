"""`Watch`: what a board notes of the gradient of a candidate's output while it learns."""

from __future__ import annotations

from typing import Any

import numpy as np
import tensorflow as tf

from tfodl.int8.integers import power


class Watch:
    """norm: the sum of squares over the steps, float32; alive: bool [C_out], channels that had a gradient."""

    def __init__(self, channels: int):
        self.norm = tf.Variable(0.0, dtype=tf.float32, trainable=False)
        self.alive = tf.Variable(np.zeros(channels, bool), trainable=False)

    def note(self, g: Any, e: Any) -> None:
        """A step's gradient `g * 2^e`, g int64 [..., C_out] under the clip mask."""
        squares = tf.cast(tf.cast(tf.reduce_sum(g * g), tf.float32), tf.float64) * power(2 * e)
        self.norm.assign_add(tf.cast(squares, tf.float32))
        self.alive.assign(self.alive | tf.reduce_any(tf.reshape(g, [-1, g.shape[-1]]) != 0, axis=0))

    def clear(self) -> None:
        """As before the first step."""
        self.norm.assign(0.0)
        self.alive.assign(tf.zeros_like(self.alive))
