"""Layers with weights that compute as the device does: int8 values in, exact sums out.

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

from tfodl.neurons.sites import Neurons

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


class Int8Linear(keras.layers.Layer):
    """Base of the layers with weights: exact int32 sums of int8 inputs, float64 [N, ..., C_out].

    kernel_shape: Keras layout. input_scale, input_zero: of the input. weight_scale: one an output channel.
    op: index of the op in the `.tflite`; use_bias: whether it has a bias to train.
    pads: ((top, bottom), (left, right)); strides: (h, w).
    """

    kind: Any = "custom"
    device: Any = None
    edges: tuple[str, ...] = ()

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
        self.kernel.quantum = Quantum(self.per_channel(scale), 2 * self.op, index, 127)
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
        scale = self.per_channel(np.asarray(self.weight_scale, np.float32))
        input_scale = self.input_scale

        @tf.custom_gradient
        def sums(x: Any, kernel: Any, bias: Any) -> Any:
            kernel32 = tf.cast(kernel, tf.float32)

            def gradient(dy: Any) -> Any:
                if self.device is not None:
                    return self.device.linear(self, dy, x, kernel)
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

    def per_channel(self, values: np.ndarray) -> np.ndarray:
        """`values` [C_out] in the shape that broadcasts to the kernel."""
        return values

    @property
    def products(self) -> int:
        """Number of products in one sum of the input gradient."""
        return math.prod(self.kernel_shape[:-2]) * self.kernel_shape[-1]

    def crop(self, x: Any) -> tuple[Any, Any]:
        """A padded map without its padding, and the padding."""
        pads = ((0, 0), *self._map_pads(), (0, 0))
        ends = [size - after for size, (_, after) in zip(tf.unstack(tf.shape(x)), pads, strict=True)]
        begins = [before for before, _ in pads]
        return tf.strided_slice(x, begins, tf.stack(ends)), pads

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

    def per_channel(self, values: np.ndarray) -> np.ndarray:
        return values.reshape(self.kernel_shape[-2:])

    @property
    def products(self) -> int:
        return math.prod(self.kernel_shape[:-2])

    def _sum(self, x: Any, kernel: Any) -> Any:
        """TensorFlow knows equal strides only: others take their common divisor and every nth output."""
        common = math.gcd(*self.strides)
        rows, columns = (stride // common for stride in self.strides)
        y = tf.nn.depthwise_conv2d(x, kernel, (1, common, common, 1), "VALID")
        return y if rows == columns else y[:, ::rows, ::columns]

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
