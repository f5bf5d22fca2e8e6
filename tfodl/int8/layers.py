"""The edges of the int8 graph, and the requantisation that closes most ops.

What flows between layers, forward and backward: see `tfodl.int8.linear`.
"""

from __future__ import annotations

from typing import Any, ClassVar

import keras
import numpy as np
import tensorflow as tf

from tfodl.int8.device_losses import Quants, device_loss

register = keras.saving.register_keras_serializable("tfodl")


class Int8Layer(keras.layers.Layer):
    """Base of the layers without weights.

    device, edges: where gradients round as on the board, the `DeviceGradients` and the names of the edges of
        the inputs and (last) of the output; "" for an input that wants no gradient.
    options: names of the constructor's arguments, which are attributes too.
    """

    device: Any = None
    edges: tuple[str, ...] = ()
    options: ClassVar[tuple[str, ...]] = ()

    def __init__(self, **kwargs: Any):
        super().__init__(**{"autocast": False, **kwargs})

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), **{name: getattr(self, name) for name in self.options}}


@register
class QuantizeInput(Int8Layer):
    """Real inputs [N, ...] to the int8 values of the graph's input, as float32."""

    options = ("scale", "zero_point")

    def __init__(self, scale: float, zero_point: int, **kwargs: Any):
        super().__init__(**kwargs)
        self.scale, self.zero_point = scale, zero_point

    def call(self, x: Any) -> Any:
        ratio = tf.cast(x, tf.float64) / self.scale
        rounded = tf.sign(ratio) * tf.floor(tf.abs(ratio) + 0.5)
        clipped = tf.clip_by_value(rounded + self.zero_point, -128.0, 127.0)
        return tf.stop_gradient(tf.cast(clipped, tf.float32))


@register
class DequantizeOutput(Int8Layer):
    """int8 values to real ones, s (q - z); the gradient is with respect to the real value already.

    loss, input_scale, input_zero: what the board learns by, and how its input is quantised.
    """

    options = ("scale", "zero_point", "loss", "input_scale", "input_zero")

    def __init__(
        self,
        scale: float,
        zero_point: int,
        loss: str = "crossentropy",
        input_scale: float = 1.0,
        input_zero: int = 0,
        **kwargs: Any,
    ):
        super().__init__(**kwargs)
        self.scale, self.zero_point, self.loss = scale, zero_point, loss
        self.input_scale, self.input_zero = input_scale, input_zero

    def call(self, q: Any) -> Any:
        @tf.custom_gradient
        def real(q: Any) -> Any:
            def gradient(dy: Any) -> Any:
                if not self.device:
                    return dy
                quants = Quants(
                    self.scale, self.zero_point, self.input_scale, self.input_zero, self.device.known
                )
                return self.device.note(self.edges[0], *device_loss(self.loss, q, dy, quants))

            return (q - self.zero_point) * np.float32(self.scale), gradient

        return real(q)


def requantize(acc: Any, multiplier: Any, shift: Any) -> Any:
    """`acc * M * 2**(n - 31)` with TFLite's two roundings; int64 [..., C] in and out."""
    m, n = np.asarray(multiplier, np.int64), np.asarray(shift, np.int64)
    up, e = np.int64(1) << np.maximum(n, 0), np.maximum(-n, 0)
    t = tf.bitwise.right_shift(acc * (up * 1) * m + np.int64(1 << 30), np.int64(31))
    half = (np.int64(1) << e) >> 1
    down = tf.where(e > 0, tf.cast(t < 0, tf.int64), np.int64(0))
    return tf.bitwise.right_shift(t + half - down, tf.broadcast_to(tf.constant(e), tf.shape(t)))


@register
class Requantize(Int8Layer):
    """Sums [N, ..., C] to int8 values: scale, zero point, clamp; the clip mask gates the gradient.

    gates: False for the logits: a saturated logit must still be able to learn.
    """

    options = ("multiplier", "shift", "zero_point", "act_min", "act_max", "gates")

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
        super().__init__(**kwargs)
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


@register
class Centre(Int8Layer):
    """`q - z` as float64 sums of one term, for `Requantize` (QUANTIZE, RELU, RELU6)."""

    options = ("zero_point",)

    def __init__(self, zero_point: int, **kwargs: Any):
        super().__init__(**kwargs)
        self.zero_point = zero_point

    def call(self, q: Any) -> Any:
        return tf.cast(q, tf.float64) - self.zero_point
