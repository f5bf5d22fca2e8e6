"""MEAN, pools and RESIZE_BILINEAR on int8 values; what flows between layers: `tfodl.int8.linear`."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import tensorflow as tf

from tfodl.int8.layers import Int8Layer, register

BELOW_INT8 = -129.0  # padding that no maximum takes


@register
class Int8Mean(Int8Layer):
    """MEAN: sums of the centred values, float64, for `Requantize` with 1/n in its multiplier."""

    options = ("axes", "keep_dims", "zero_point")

    def __init__(self, axes: Sequence[int], keep_dims: bool, zero_point: int, **kwargs: Any):
        super().__init__(**kwargs)
        self.axes, self.keep_dims, self.zero_point = list(axes), keep_dims, zero_point

    def call(self, q: Any) -> Any:
        @tf.custom_gradient
        def total(q: Any) -> Any:
            count = math.prod(q.shape[axis] for axis in self.axes)
            acc = tf.reduce_sum(tf.cast(q, tf.float64) - self.zero_point, self.axes, keepdims=self.keep_dims)

            def gradient(dy: Any) -> Any:
                share = self.device.mean(dy, count, self.edges) if self.device else dy / count
                for axis in [] if self.keep_dims else self.axes:
                    share = tf.expand_dims(share, axis)
                return tf.broadcast_to(tf.cast(share, tf.float32), tf.shape(q))

            return acc, gradient

        return total(q)


@register
class Int8Pool(Int8Layer):
    """MAX_POOL_2D ("max") and AVERAGE_POOL_2D ("average"): padding is not counted; clamped, no mask."""

    options = ("mode", "size", "strides", "pads", "act_min", "act_max")

    def __init__(
        self,
        mode: str,
        size: Sequence[int],
        strides: Sequence[int],
        pads: Sequence[Sequence[int]],
        act_min: int,
        act_max: int,
        **kwargs: Any,
    ):
        super().__init__(**kwargs)
        self.mode, self.size, self.strides = mode, tuple(size), tuple(strides)
        self.pads, self.act_min, self.act_max = tuple(map(tuple, pads)), act_min, act_max

    @property
    def apart(self) -> bool:
        """Whether no pixel lies in two windows and none outside the map."""
        return all(s >= k for s, k in zip(self.strides, self.size, strict=True)) and not any(
            map(any, self.pads)
        )

    def call(self, q: Any) -> Any:
        if self.device is None:
            return self._pooled(q)

        @tf.custom_gradient
        def pooled(q: Any) -> Any:
            return self._pooled(q), lambda dy: self.device.pool(dy, q, self)

        return pooled(q)

    def padded(self, q: Any, value: float) -> Any:
        """The map [N, H, W, C] with `value` around it."""
        return tf.pad(q, ((0, 0), *self.pads, (0, 0)), constant_values=value)

    def _pooled(self, q: Any) -> Any:
        if self.mode == "max":
            y = tf.nn.max_pool2d(self.padded(q, BELOW_INT8), self.size, self.strides, "VALID")
        else:
            y = self._average(self.padded(q, 0.0), self.padded(tf.ones_like(q[:1, ..., :1]), 0.0))
        clipped = tf.clip_by_value(y, float(self.act_min), float(self.act_max))
        return y + tf.stop_gradient(clipped - y)

    def _average(self, padded: Any, inside: Any) -> Any:
        area = float(math.prod(self.size))
        total = tf.nn.avg_pool2d(padded, self.size, self.strides, "VALID") * area
        count = tf.round(tf.nn.avg_pool2d(inside, self.size, self.strides, "VALID") * area)
        # In integers: the graph optimiser makes a float division by a constant a product with its inverse.
        exact, whole = tf.cast(tf.round(total), tf.int32), tf.cast(count, tf.int32)
        rounded = tf.cast(tf.sign(exact) * ((tf.abs(exact) + whole // 2) // whole), tf.float32)
        return total / count + tf.stop_gradient(rounded - total / count)

    def taps(self, padded: Any) -> Iterator[Any]:
        """For every place in the window, row by row, the pixels [N, P, Q, C] that the windows have there."""
        (k_h, k_w), (s_h, s_w) = self.size, self.strides
        rows, columns = (
            (n - k) // s for n, k, s in zip(padded.shape[1:3], self.size, self.strides, strict=True)
        )
        for top in range(k_h):
            for left in range(k_w):
                yield padded[:, top : top + rows * s_h + 1 : s_h, left : left + columns * s_w + 1 : s_w]


@register
class Int8Bilinear(Int8Layer):
    """RESIZE_BILINEAR of a map of `before` to one of `after` [height, width]; no clip, no mask.

    scales: input pixels by output pixel in Q10. half_pixel: whether centres of pixels meet, not corners.
    """

    options = ("before", "after", "scales", "half_pixel")

    def __init__(
        self,
        before: Sequence[int],
        after: Sequence[int],
        scales: Sequence[int],
        half_pixel: bool,
        **kwargs: Any,
    ):
        super().__init__(**kwargs)
        self.before, self.after, self.scales = list(before), list(after), list(scales)
        self.half_pixel = bool(half_pixel)

    def weights(self) -> list[np.ndarray]:
        """What inputs have in outputs along height and width, Q10 float64 [after, before]."""
        return [self._side(*sizes) for sizes in zip(self.before, self.after, self.scales, strict=True)]

    def _side(self, before: int, after: int, scale: int) -> np.ndarray:
        found = np.zeros((after, before))
        for i in range(after):
            at = i * scale + (scale // 2 - 512 if self.half_pixel else 0)
            place, part = divmod(min(max(at, 0), 1024 * (before - 1)), 1024)
            found[i, place] = 1024 - part
            if part:
                found[i, place + 1] = part
        return found

    def spread(self, g: Any) -> Any:
        """Gradients [N, after..., C] float64 to the pixels, by weight in Q20."""
        h, w = self.weights()
        return tf.einsum("yi,nyxc,xj->nijc", tf.constant(h), g, tf.constant(w))

    def call(self, q: Any) -> Any:
        @tf.custom_gradient
        def resized(q: Any) -> Any:
            h, w = self.weights()
            acc = tf.einsum("yi,nijc,xj->nyxc", tf.constant(h), tf.cast(q, tf.float64), tf.constant(w))
            rounded = tf.sign(acc) * tf.floor(tf.abs(acc) / 2.0**20 + 0.5)

            def gradient(dy: Any) -> Any:
                if self.device is not None:
                    return self.device.bilinear(dy, self)
                return tf.cast(self.spread(tf.cast(dy, tf.float64)) / 2.0**20, dy.dtype)

            return tf.cast(rounded, tf.float32), gradient

        return resized(q)
