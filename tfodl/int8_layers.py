"""Layers that compute as the device does: int8 values in, int8 values out, exact sums between.

Between layers a float32 tensor holds the integers q themselves. What flows back is the gradient of the loss
with respect to the *real* value s (q - z), straight through the rounding and gated by the clip mask
(docs/arithmetic.md), so that every scale enters exactly where a weight is met:

    dL/dx = sum G s_w W      dL/dW_int = s_w s_x sum G (q_x - z_x)      dL/db_int = s_w s_x sum G

with G the gradient with respect to the real sum. Kernels and biases are float64 variables that hold integers.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from tfodl.sites import Neurons

LARGEST_PRODUCT = 127 * 255
EXACT_FLOAT32 = 2**24
register = keras.saving.register_keras_serializable("tfodl")


@dataclass(frozen=True, eq=False)
class Quantum:
    """What an integer variable's steps mean; hung on the variable as `.quantum`.

    scale: real size of one LSB, float64, broadcasts to the variable.
    tensor: identity of the tensor in the device's random numbers, 2 op (+ 1 for a bias).
    index: flat index of each element in the `.tflite`'s layout, int64 of the variable's shape.
    limit: largest magnitude: 127 for weights, 2^30 for biases.
    """

    scale: np.ndarray
    tensor: int
    index: np.ndarray
    limit: int

    @property
    def is_weight(self) -> bool:
        return self.limit == 127


@register
class QuantizeInput(keras.layers.Layer):
    """Real inputs [N, ...] to the int8 values of the graph's input, as float32."""

    def __init__(self, scale: float, zero_point: int, **kwargs: Any):
        super().__init__(**kwargs)
        self.scale, self.zero_point = scale, zero_point

    def call(self, x: Any) -> Any:
        ratio = tf.cast(x, tf.float32) / np.float32(self.scale)
        rounded = tf.sign(ratio) * tf.floor(tf.abs(ratio) + 0.5)
        return tf.stop_gradient(tf.clip_by_value(rounded + self.zero_point, -128.0, 127.0))

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "scale": self.scale, "zero_point": self.zero_point}


@register
class DequantizeOutput(keras.layers.Layer):
    """int8 values to real ones, s (q - z); the gradient is with respect to the real value already."""

    def __init__(self, scale: float, zero_point: int, **kwargs: Any):
        super().__init__(**kwargs)
        self.scale, self.zero_point = scale, zero_point

    def call(self, q: Any) -> Any:
        @tf.custom_gradient
        def real(q: Any) -> Any:
            return (q - self.zero_point) * np.float32(self.scale), lambda dy: dy

        return real(q)

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "scale": self.scale, "zero_point": self.zero_point}


class Int8Linear(keras.layers.Layer):
    """Base of the layers with weights: exact int32 sums of int8 inputs, float64 [N, ..., C_out].

    kernel_shape: Keras layout. input_scale, input_zero: of the input. weight_scale: one an output channel.
    op: index of the op in the `.tflite`; use_bias: whether it has a bias to train.
    pads: ((top, bottom), (left, right)); strides: (h, w).
    """

    kind: Any = "custom"

    def __init__(
        self,
        kernel_shape: Sequence[int],
        input_scale: float,
        input_zero: int,
        weight_scale: Sequence[float],
        op: int,
        strides: Sequence[int] = (1, 1),
        pads: Sequence[Sequence[int]] = ((0, 0), (0, 0)),
        use_bias: bool = True,
        **kwargs: Any,
    ):
        super().__init__(**{"dtype": "float64", "autocast": False, **kwargs})
        self.use_bias = use_bias
        self.kernel_shape, self.op = tuple(kernel_shape), op
        self.input_scale, self.input_zero = input_scale, input_zero
        self.weight_scale = tuple(weight_scale)
        self.strides, self.pads = tuple(strides), tuple(map(tuple, pads))

    def build(self, input_shape: Any) -> None:
        outputs = len(self.weight_scale)
        self.kernel = self.add_weight(name="kernel", shape=self.kernel_shape, initializer="zeros")
        self.bias = None
        scale = np.asarray(self.weight_scale, np.float64)
        index = self.from_file(np.arange(math.prod(self.kernel_shape)).reshape(self.file_shape))
        self.kernel.quantum = Quantum(self._broadcast(scale), 2 * self.op, index, 127)
        if self.use_bias:
            self.bias = self.add_weight(name="bias", shape=(outputs,), initializer="zeros")
            self.bias.quantum = Quantum(scale * self.input_scale, 2 * self.op + 1, np.arange(outputs), 2**30)

    @property
    def file_shape(self) -> tuple[int, ...]:
        """Shape of the weights in the `.tflite`."""
        *taps, c_in, c_out = self.kernel_shape
        return (c_out, *taps, c_in)

    def from_file(self, weights: np.ndarray) -> np.ndarray:
        """Weights in the `.tflite`'s layout to the kernel's."""
        return np.moveaxis(weights, 0, -1)

    def to_file(self, kernel: np.ndarray) -> np.ndarray:
        """The kernel to the `.tflite`'s layout."""
        return np.ascontiguousarray(np.moveaxis(kernel, -1, 0))

    def tfodl_neurons(self) -> Neurons:
        """One neuron an output channel; its output is the exact sum, before scale and activation."""
        return Neurons(self.kernel, self.bias, self.kind)

    def call(self, q: Any) -> Any:
        centred = tf.pad(q - np.float32(self.input_zero), ((0, 0), *self._map_pads(), (0, 0)))
        scale = self._broadcast(np.asarray(self.weight_scale, np.float32))
        input_scale = self.input_scale

        @tf.custom_gradient
        def sums(x: Any, kernel: Any, bias: Any) -> Any:
            kernel32 = tf.cast(kernel, tf.float32)

            def gradient(dy: Any) -> Any:
                g = tf.cast(dy, tf.float32)
                with tf.GradientTape() as tape:
                    tape.watch([x, kernel32])
                    y = self._sum(x, kernel32 * scale)
                dx, dw = tape.gradient(y, [x, kernel32], output_gradients=g)
                g_bias = tf.reduce_sum(dy, axis=list(range(len(dy.shape) - 1)))
                bias_scale = np.asarray(self.weight_scale) * input_scale
                return dx, tf.cast(dw, tf.float64) * input_scale, g_bias * bias_scale

            return self._exact_sum(x, kernel32) + bias, gradient

        bias = tf.zeros(len(self.weight_scale), tf.float64) if self.bias is None else self.bias
        return sums(centred, tf.convert_to_tensor(self.kernel), tf.convert_to_tensor(bias))

    def _map_pads(self) -> tuple[tuple[int, ...], ...]:
        return self.pads

    def _broadcast(self, per_channel: np.ndarray) -> np.ndarray:
        return per_channel

    def _sum(self, x: Any, kernel: Any) -> Any:
        raise TypeError(f"{type(self).__name__} has no sum of its own")

    def _exact_sum(self, x: Any, kernel: Any) -> Any:
        """float32 sums are exact below 2^24, so the input channels go in slices that stay below."""
        taps = math.prod(self.kernel_shape[:-2])
        channels = max(1, EXACT_FLOAT32 // (LARGEST_PRODUCT * taps))
        parts = range(0, self.kernel_shape[-2], channels)
        return tf.add_n(
            [
                tf.cast(self._sum(x[..., i : i + channels], kernel[..., i : i + channels, :]), tf.float64)
                for i in parts
            ]
        )

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "kernel_shape": self.kernel_shape,
            "input_scale": self.input_scale,
            "input_zero": self.input_zero,
            "weight_scale": self.weight_scale,
            "op": self.op,
            "strides": self.strides,
            "pads": self.pads,
            "use_bias": self.use_bias,
        }


@register
class Int8Conv2D(Int8Linear):
    """CONV_2D: kernel [k_h, k_w, C_in, C_out]."""

    kind = "conv"

    def _sum(self, x: Any, kernel: Any) -> Any:
        return tf.nn.conv2d(x, kernel, self.strides, "VALID")


@register
class Int8DepthwiseConv2D(Int8Linear):
    """DEPTHWISE_CONV_2D: kernel [k_h, k_w, C, m]."""

    kind = "depthwise"

    @property
    def file_shape(self) -> tuple[int, ...]:
        k_h, k_w, channels, multiplier = self.kernel_shape
        return (1, k_h, k_w, channels * multiplier)

    def from_file(self, weights: np.ndarray) -> np.ndarray:
        return weights.reshape(self.kernel_shape)

    def to_file(self, kernel: np.ndarray) -> np.ndarray:
        return kernel.reshape(self.file_shape)

    def _broadcast(self, per_channel: np.ndarray) -> np.ndarray:
        return per_channel.reshape(self.kernel_shape[-2:])

    def _sum(self, x: Any, kernel: Any) -> Any:
        return tf.nn.depthwise_conv2d(x, kernel, (1, *self.strides, 1), "VALID")

    def _exact_sum(self, x: Any, kernel: Any) -> Any:
        return tf.cast(self._sum(x, kernel), tf.float64)


@register
class Int8Dense(Int8Linear):
    """FULLY_CONNECTED: kernel [n_in, n_out], input [N, n_in]."""

    kind = "dense"

    def _map_pads(self) -> tuple[tuple[int, ...], ...]:
        return ()

    def _sum(self, x: Any, kernel: Any) -> Any:
        return tf.matmul(x, kernel)


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

    def call(self, values: Sequence[Any]) -> Any:
        @tf.custom_gradient
        def total(a: Any, b: Any) -> Any:
            x, y = (self._moved(q, *row) for q, row in zip((a, b), self.inputs, strict=True))

            def gradient(dy: Any) -> Any:
                g = tf.cast(dy, tf.float32)
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

    def call(self, q: Any) -> Any:
        @tf.custom_gradient
        def total(q: Any) -> Any:
            count = math.prod(q.shape[axis] for axis in self.axes)
            acc = tf.reduce_sum(tf.cast(q, tf.float64) - self.zero_point, self.axes, keepdims=self.keep_dims)

            def gradient(dy: Any) -> Any:
                for axis in [] if self.keep_dims else self.axes:
                    dy = tf.expand_dims(dy, axis)
                return tf.broadcast_to(tf.cast(dy / count, tf.float32), tf.shape(q))

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

    def call(self, q: Any) -> Any:
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
        exact = tf.round(total)
        rounded = tf.sign(exact) * tf.floor((tf.abs(exact) + tf.floor(count / 2)) / count)
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
