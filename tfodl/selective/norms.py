"""Batch norm as cheap as it can be had: fused where it trains, folded into its convolution where it does not.

Keras computes batch norm from elementwise operations; TensorFlow's fused kernel does the same sums in a
quarter of the time on a CPU. A batch norm on moving statistics is a scale and a shift a channel, so a
convolution takes it over as the compiler does for the device, and no map is written for it.
"""

from __future__ import annotations

import math
from typing import Any

import keras
import tensorflow as tf

LEAST_EPSILON = 1.001e-5  # the kernel takes no smaller one


def can_fuse(layer: keras.layers.BatchNormalization, x: Any, mask: Any) -> bool:
    """Whether `fused` computes what `layer` would on `x` in training."""
    last = layer.axis in (-1, len(x.shape) - 1)
    plain = not layer.renorm and not layer.synchronized and mask is None and layer.epsilon >= LEAST_EPSILON
    return plain and last and len(x.shape) in (2, 4) and x.dtype == tf.float32


def fused(layer: keras.layers.BatchNormalization, x: Any) -> Any:
    """Batch norm of `x [N, ..., C]` on batch statistics; the layer's moving averages follow as in Keras."""
    pictures = x if len(x.shape) == 4 else x[:, tf.newaxis, tf.newaxis, :]
    channels = x.shape[-1]
    scale = tf.convert_to_tensor(layer.gamma) if layer.scale else tf.ones([channels])
    offset = tf.convert_to_tensor(layer.beta) if layer.center else tf.zeros([channels])
    y, mean, variance = tf.compat.v1.nn.fused_batch_norm(
        pictures, scale, offset, epsilon=layer.epsilon, is_training=True
    )[:3]
    count = tf.cast(tf.size(x) // channels, tf.float32)
    biased = (
        variance * (count - 1) / tf.maximum(count, 1)
    )  # the kernel gives the unbiased one, Keras keeps this
    for moving, new in ((layer.moving_mean, mean), (layer.moving_variance, biased)):
        moving.assign(moving * layer.momentum + tf.stop_gradient(new) * (1.0 - layer.momentum))
    return tf.reshape(y, tf.shape(x))


def scale_and_shift(layer: keras.layers.BatchNormalization) -> tuple[Any, Any]:
    """`a, b [C]` with which `layer` on its moving statistics is `a · x + b`."""
    a = tf.math.rsqrt(tf.convert_to_tensor(layer.moving_variance) + layer.epsilon)
    if layer.scale:
        a *= tf.convert_to_tensor(layer.gamma)
    b = -tf.convert_to_tensor(layer.moving_mean) * a
    return a, b + tf.convert_to_tensor(layer.beta) if layer.center else b


def kernel_is_larger(kernel: Any, x: Any) -> bool:
    """Whether `kernel` outweighs the batch `x` that it reads, so that scaling the map is the cheaper way.

    Sizes that are known on no trace count as Keras's own: a batch of 32, maps of one position.
    """
    batch, *rest = x.shape
    found: bool = math.prod(kernel.shape) > (batch or 32) * math.prod(side or 1 for side in rest)
    return found
