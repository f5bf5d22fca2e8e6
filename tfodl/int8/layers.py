"""Layers without weights that compute as the device does: requantisation, additions, pooling, the edges.

What flows between them, forward and backward: see `tfodl.int8.linear`.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from tfodl.int8.device_gradients import refuse

register = keras.saving.register_keras_serializable("tfodl")


@register
class QuantizeInput(keras.layers.Layer):
    """Real inputs [N, ...] to the int8 values of the graph's input, as float32."""

    def __init__(self, scale: float, zero_point: int, **kwargs: Any):
        super().__init__(**kwargs)
        self.scale, self.zero_point = scale, zero_point

    def call(self, x: Any) -> Any:
        ratio = tf.cast(x, tf.float64) / self.scale
        rounded = tf.sign(ratio) * tf.floor(tf.abs(ratio) + 0.5)
        clipped = tf.clip_by_value(rounded + self.zero_point, -128.0, 127.0)
        return tf.stop_gradient(tf.cast(clipped, tf.float32))

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "scale": self.scale, "zero_point": self.zero_point}


@register
class DequantizeOutput(keras.layers.Layer):
    """int8 values to real ones, s (q - z); the gradient is with respect to the real value already."""

    def __init__(self, scale: float, zero_point: int, **kwargs: Any):
        super().__init__(**kwargs)
        self.scale, self.zero_point = scale, zero_point

    device: Any = None
    edges: tuple[str, ...] = ()

    def call(self, q: Any) -> Any:
        @tf.custom_gradient
        def real(q: Any) -> Any:
            def gradient(dy: Any) -> Any:
                return self.device.loss(q, dy, self.scale, self.edges[0]) if self.device else dy

            return (q - self.zero_point) * np.float32(self.scale), gradient

        return real(q)

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "scale": self.scale, "zero_point": self.zero_point}


def requantize(acc: Any, multiplier: Any, shift: Any) -> Any:
    """`acc * M * 2**(n - 31)` with TFLite's two roundings; int64 [..., C] in and out."""
    m, n = np.asarray(multiplier, np.int64), np.asarray(shift, np.int64)
    up, e = np.int64(1) << np.maximum(n, 0), np.maximum(-n, 0)
    t = tf.bitwise.right_shift(acc * (up * 1) * m + np.int64(1 << 30), np.int64(31))
    half = (np.int64(1) << e) >> 1
    down = tf.where(e > 0, tf.cast(t < 0, tf.int64), np.int64(0))
    return tf.bitwise.right_shift(t + half - down, tf.broadcast_to(tf.constant(e), tf.shape(t)))


@register
class Requantize(keras.layers.Layer):
    """Sums [N, ..., C] to int8 values: scale, zero point, clamp; the clip mask gates the gradient.

    gates: False for the logits: a saturated logit must still be able to learn.
    """

    def __init__(
        self,
        multiplier: Any,
        shift: Any,
        zero_point: int,
        act_min: int,
        act_max: int,
        gates: bool = True,
        **kwargs: Any,
    ):
        super().__init__(**{"autocast": False, **kwargs})
        self.multiplier, self.shift = multiplier, shift
        self.zero_point, self.act_min, self.act_max, self.gates = zero_point, act_min, act_max, gates

    def call(self, acc: Any) -> Any:
        @tf.custom_gradient
        def clamped(acc: Any) -> Any:
            exact = tf.cast(acc, tf.int64)
            raw = requantize(exact, self.multiplier, self.shift) + self.zero_point
            y = tf.cast(tf.clip_by_value(raw, self.act_min, self.act_max), tf.float32)

            def gradient(dy: Any) -> Any:
                passing = tf.cast(self.passing(exact, raw), dy.dtype) if self.gates else 1.0
                return tf.cast(dy * passing, acc.dtype)

            return y, gradient

        return clamped(acc)

    def passing(self, acc: Any, raw: Any) -> Any:
        """Where a gradient passes the clamp (docs/arithmetic.md, "Clip mask")."""
        above = acc > 0 if self.act_min == self.zero_point else raw >= self.act_min
        return tf.logical_and(above, raw <= self.act_max)

    def get_config(self) -> dict[str, Any]:
        names = ("multiplier", "shift", "zero_point", "act_min", "act_max", "gates")
        return {**super().get_config(), **{name: getattr(self, name) for name in names}}


@register
class Int8Add(keras.layers.Layer):
    """ADD or SUB: both inputs brought to one scale in int32; float64 sums, for `Requantize`."""

    def __init__(self, inputs: Sequence[Sequence[int]], left_shift: int, sign: int = 1, **kwargs: Any):
        super().__init__(**{"autocast": False, **kwargs})
        self.inputs, self.left_shift, self.sign = [list(row) for row in inputs], left_shift, sign

    device: Any = None
    edges: tuple[str, ...] = ()

    def call(self, values: Sequence[Any]) -> Any:
        @tf.custom_gradient
        def total(a: Any, b: Any) -> Any:
            x, y = (self._moved(q, *row) for q, row in zip((a, b), self.inputs, strict=True))

            def gradient(dy: Any) -> Any:
                g = tf.cast(dy, tf.float32)
                if self.device is not None:
                    self.device.moved(self.edges[-1], self.edges[0])
                    self.device.moved(self.edges[-1], self.edges[1])
                return _reduced(g, a), _reduced(self.sign * g, b)

            return tf.cast(x + self.sign * y, tf.float64), gradient

        return total(*values)

    def _moved(self, q: Any, zero: int, multiplier: int, shift: int) -> Any:
        return requantize((tf.cast(q, tf.int64) - zero) * (1 << self.left_shift), multiplier, shift)

    def get_config(self) -> dict[str, Any]:
        names = ("inputs", "left_shift", "sign")
        return {**super().get_config(), **{name: getattr(self, name) for name in names}}


def _reduced(g: Any, like: Any) -> Any:
    """`g` summed over the axes along which `like` was broadcast."""
    axes = [i for i, size in enumerate(like.shape) if i and size == 1 and g.shape[i] != 1]
    return tf.reduce_sum(g, axis=axes, keepdims=True) if axes else g


@register
class Int8Mean(keras.layers.Layer):
    """MEAN: sums of the centred values, float64, for `Requantize` with 1/n in its multiplier."""

    def __init__(self, axes: Sequence[int], keep_dims: bool, zero_point: int, **kwargs: Any):
        super().__init__(**{"autocast": False, **kwargs})
        self.axes, self.keep_dims, self.zero_point = list(axes), keep_dims, zero_point

    device: Any = None
    edges: tuple[str, ...] = ()

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

    def get_config(self) -> dict[str, Any]:
        names = ("axes", "keep_dims", "zero_point")
        return {**super().get_config(), **{name: getattr(self, name) for name in names}}


@register
class Int8Pool(keras.layers.Layer):
    """MAX_POOL_2D ("max") and AVERAGE_POOL_2D ("average"): padding is not counted; clamped, no mask."""

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
        super().__init__(**{"autocast": False, **kwargs})
        self.mode, self.size, self.strides = mode, tuple(size), tuple(strides)
        self.pads, self.act_min, self.act_max = tuple(map(tuple, pads)), act_min, act_max

    refused: str = ""  # the op's kind, where the device's rounding of this gradient is not known

    def call(self, q: Any) -> Any:
        q = _refusing(q, self.refused, self.name) if self.refused else q
        pads = ((0, 0), *self.pads, (0, 0))
        if self.mode == "max":
            padded = tf.pad(q, pads, constant_values=-128.0)
            y = tf.nn.max_pool2d(padded, self.size, self.strides, "VALID")
        else:
            y = self._average(tf.pad(q, pads), tf.pad(tf.ones_like(q[:1, ..., :1]), pads))
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

    def get_config(self) -> dict[str, Any]:
        names = ("mode", "size", "strides", "pads", "act_min", "act_max")
        return {**super().get_config(), **{name: getattr(self, name) for name in names}}


@register
class Int8Pad(keras.layers.Layer):
    """PAD and PADV2: `value` around the map."""

    def __init__(self, padding: Sequence[Sequence[int]], value: int, **kwargs: Any):
        super().__init__(**kwargs)
        self.padding, self.value = tuple(map(tuple, padding)), value

    def call(self, q: Any) -> Any:
        return tf.pad(q, self.padding, constant_values=float(self.value))

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "padding": self.padding, "value": self.value}


@register
class Centre(keras.layers.Layer):
    """`q - z` as float64 sums of one term, for `Requantize` (QUANTIZE, RELU, RELU6)."""

    def __init__(self, zero_point: int, **kwargs: Any):
        super().__init__(**{"autocast": False, **kwargs})
        self.zero_point = zero_point

    def call(self, q: Any) -> Any:
        return tf.cast(q, tf.float64) - self.zero_point

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "zero_point": self.zero_point}


@register
class Fork(keras.layers.Layer):
    """A tensor for several readers; adds their gradients as the board does. Only with `DeviceGradients`."""

    device: Any = None
    edges: tuple[str, ...] = ()

    def __init__(self, readers: int, **kwargs: Any):
        super().__init__(**kwargs)
        self.readers = readers

    def call(self, q: Any) -> Any:
        @tf.custom_gradient
        def copies(q: Any) -> Any:
            def gradient(*dys: Any) -> Any:
                return self.device.total(dys, self.edges[:-1], self.edges[-1])

            return [tf.identity(q) for _ in range(self.readers)], gradient

        return copies(q)

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "readers": self.readers}


def _refusing(q: Any, kind: str, name: str) -> Any:
    """`q`; a gradient that comes this way is an error while the step is traced."""

    @tf.custom_gradient
    def identity(q: Any) -> Any:
        return tf.identity(q), lambda dy: refuse(kind, name)

    return identity(q)
