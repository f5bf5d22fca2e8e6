"""Ops of one element or of two on int8 values; what flows between layers: `tfodl.int8.linear`.

The smaller of two operands is repeated along its axes of size 1, and its gradient summed there.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import tensorflow as tf

from tfodl.int8.device_gradients import SLOPE_BITS, repeated_sum
from tfodl.int8.layers import Int8Layer, register, requantize


@register
class Int8Add(Int8Layer):
    """ADD or SUB: both inputs brought to one scale in int32; float64 sums, for `Requantize`.

    inputs: (zero point, multiplier, shift) of each. sign: 1 or -1, of the second.
    """

    options = ("inputs", "left_shift", "sign")

    def __init__(self, inputs: Sequence[Sequence[int]], left_shift: int, sign: int = 1, **kwargs: Any):
        super().__init__(**kwargs)
        self.inputs, self.left_shift, self.sign = [list(row) for row in inputs], left_shift, sign

    def call(self, values: Sequence[Any]) -> Any:
        @tf.custom_gradient
        def total(a: Any, b: Any) -> Any:
            x, y = (self._moved(q, *row) for q, row in zip((a, b), self.inputs, strict=True))

            def gradient(dy: Any) -> Any:
                g = tf.cast(dy, tf.float32)
                return self._share(g, a, 0), self._share(self.sign * g, b, 1)

            return tf.cast(x + self.sign * y, tf.float64), gradient

        return total(*values)

    def _moved(self, q: Any, zero: int, multiplier: int, shift: int) -> Any:
        return requantize((tf.cast(q, tf.int64) - zero) * (1 << self.left_shift), multiplier, shift)

    def _share(self, g: Any, like: Any, place: int) -> Any:
        if self.device is None:
            return repeated_sum(g, like)
        return self.device.share(g, like, self.edges[-1], self.edges[place])


@register
class Int8Mul(Int8Layer):
    """MUL: products of centred values, float64, for `Requantize`.

    scales, zero_points: of the two inputs.
    """

    options = ("scales", "zero_points")

    def __init__(self, scales: Sequence[float], zero_points: Sequence[int], **kwargs: Any):
        super().__init__(**kwargs)
        self.scales, self.zero_points = list(scales), list(zero_points)

    def call(self, values: Sequence[Any]) -> Any:
        @tf.custom_gradient
        def product(a: Any, b: Any) -> Any:
            x, y = (tf.cast(q, tf.float64) - z for q, z in zip((a, b), self.zero_points, strict=True))

            def gradient(dy: Any) -> Any:
                return self._factor(dy, y, a, 0), self._factor(dy, x, b, 1)

            return x * y, gradient

        return product(*values)

    def _factor(self, dy: Any, partner: Any, like: Any, place: int) -> Any:
        """Gradient of the factor `like` at `place`, whose partner is `partner`, centred."""
        scale = self.scales[1 - place]
        if self.device is None:
            return tf.cast(repeated_sum(dy * scale * partner, like), tf.float32)
        return self.device.product(dy, partner, like, scale, self.edges[-1], self.edges[place])


@register
class Int8Extremum(Int8Layer):
    """MINIMUM (sign 1) and MAXIMUM (-1); where both are equal the gradient is the first one's."""

    options = ("sign",)

    def __init__(self, sign: int, **kwargs: Any):
        super().__init__(**kwargs)
        self.sign = sign

    def call(self, values: Sequence[Any]) -> Any:
        @tf.custom_gradient
        def extremum(a: Any, b: Any) -> Any:
            first = self.sign * (a - b) <= 0

            def gradient(dy: Any) -> Any:
                return self._share(dy, first, a, 0), self._share(dy, tf.logical_not(first), b, 1)

            return tf.where(first, a, b), gradient

        return extremum(*values)

    def _share(self, dy: Any, taken: Any, like: Any, place: int) -> Any:
        if self.device is None:
            return repeated_sum(tf.where(taken, dy, tf.zeros_like(dy)), like)
        return self.device.chosen(dy, taken, like, self.edges[-1], self.edges[place])


@register
class Int8Logistic(Int8Layer):
    """LOGISTIC: a look in the table of the 256 outputs; its slope p (1 - p) comes from the output."""

    options = ("table",)

    def __init__(self, table: Sequence[int], **kwargs: Any):
        super().__init__(**kwargs)
        self.table = list(table)

    def call(self, q: Any) -> Any:
        @tf.custom_gradient
        def sigmoid(q: Any) -> Any:
            y = tf.gather(tf.constant(self.table, tf.float32), tf.cast(q, tf.int32) + 128)

            def gradient(dy: Any) -> Any:
                if self.device is not None:
                    return self.device.logistic(dy, y, self.edges)
                p = (y + 128) / 256
                return dy * p * (1 - p)

            return y, gradient

        return sigmoid(q)


@register
class Int8Lookup(Int8Layer):
    """TANH, HARD_SWISH, ELU and the like: the tables of the 256 outputs and of their slopes in Q13."""

    options = ("table", "slope")

    def __init__(self, table: Sequence[int], slope: Sequence[int], **kwargs: Any):
        super().__init__(**kwargs)
        self.table, self.slope = list(table), list(slope)

    def call(self, q: Any) -> Any:
        @tf.custom_gradient
        def look(q: Any) -> Any:
            place = tf.cast(q, tf.int32) + 128
            slope = tf.gather(tf.constant(self.slope, tf.float32), place)

            def gradient(dy: Any) -> Any:
                if self.device is not None:
                    return self.device.lookup(dy, slope, self.edges)
                return dy * slope / 2.0**SLOPE_BITS

            return tf.gather(tf.constant(self.table, tf.float32), place), gradient

        return look(q)


@register
class Int8Prelu(Int8Layer):
    """PRELU: x, or `alpha x` below 0. alpha: real values [..., C]; steps: the same in int8, centred.

    factors: (multiplier, shift) of x and of `alpha x`. zero_points: of input and output.
    """

    options = ("alpha", "steps", "factors", "zero_points")

    def __init__(
        self,
        alpha: Any,
        steps: Any,
        factors: Sequence[Sequence[int]],
        zero_points: Sequence[int],
        **kwargs: Any,
    ):
        super().__init__(**kwargs)
        self.alpha, self.steps = np.asarray(alpha).tolist(), np.asarray(steps).tolist()
        self.factors, self.zero_points = [list(row) for row in factors], list(zero_points)

    def call(self, q: Any) -> Any:
        @tf.custom_gradient
        def bent(q: Any) -> Any:
            x = tf.cast(q, tf.int64) - self.zero_points[0]
            above, acc = x >= 0, x * tf.constant(self.steps, tf.int64)
            straight, scaled = (requantize(v, *row) for v, row in zip((x, acc), self.factors, strict=True))
            raw = tf.where(above, straight, scaled) + self.zero_points[1]
            slope = tf.where(above, 2.0**SLOPE_BITS, np.floor(np.array(self.alpha) * 2**SLOPE_BITS + 0.5))

            def gradient(dy: Any) -> Any:
                positive = tf.where(above, x, acc) > 0
                low = positive if self.zero_points[1] == -128 else raw >= -128
                gated = dy * tf.cast(tf.logical_and(low, raw <= 127), dy.dtype)
                if self.device is not None:
                    return self.device.lookup(gated, slope, self.edges)
                return gated * tf.cast(slope, dy.dtype) / 2.0**SLOPE_BITS

            return tf.cast(tf.clip_by_value(raw, -128, 127), tf.float32), gradient

        return bent(q)
