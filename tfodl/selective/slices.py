"""Weight gradients of chosen channels only.

`attach(y, kernel, gradient)` is `y`, but lets `kernel`'s gradient be `gradient(dy)` while the input's
gradient stays TensorFlow's own. So a layer whose neurons are partly frozen costs its forward pass, its dX if
anything below trains, and the dW of the chosen channels.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import tensorflow as tf

Gradient = Callable[[Any], Any]


def attach(y: Any, kernel: Any, gradient: Gradient) -> Any:
    """`y [N, ..., C]` unchanged; in the backward pass `kernel` receives `gradient(dy)`."""

    @tf.custom_gradient
    def identity(y: Any, kernel: Any) -> Any:
        return tf.identity(y), lambda dy: (dy, gradient(dy))

    return identity(y, kernel)


def indices(mask: Any) -> tuple[Any, Any]:
    """Of `mask [C] bool`: chosen indices `[S] int32` (one at least) and, for every channel, its place among
    them.

    Channels that are not chosen point at `S`, where `spread` keeps a zero. With nothing chosen the first
    channel stands in, so that no tensor is empty; the caller masks its gradient.
    """
    chosen = tf.cast(tf.where(mask)[:, 0], tf.int32)
    chosen = tf.cond(tf.size(chosen) > 0, lambda: chosen, lambda: tf.zeros([1], tf.int32))
    place = tf.cumsum(tf.cast(mask, tf.int32)) - 1
    return chosen, tf.where(mask, place, tf.size(chosen))


def spread(part: Any, place: Any, axis: int) -> Any:
    """`part` with `S` channels along `axis` laid out over all channels, zeros elsewhere."""
    zeros = tf.zeros_like(tf.gather(part, [0], axis=axis))
    return tf.gather(tf.concat([part, zeros], axis), place, axis=axis)


def conv_out(x: Any, mask: Any, kernel: Any, strides: tuple[int, int], padding: str) -> Gradient:
    """dW `[kh, kw, C_in, C_out]` of the output channels in `mask [C_out]`."""
    kh, kw, c_in, _ = kernel.shape
    chosen, place = indices(mask)

    def gradient(dy: Any) -> Any:
        part = tf.gather(dy, chosen, axis=3)
        return spread(_conv(x, part, (kh, kw, c_in, tf.size(chosen)), strides, padding), place, 3)

    return gradient


def conv_in(x: Any, mask: Any, kernel: Any, strides: tuple[int, int], padding: str) -> Gradient:
    """dW `[kh, kw, C_in, C_out]` of the input channels in `mask [C_in]`; only those of `x` are kept."""
    kh, kw, _, c_out = kernel.shape
    chosen, place = indices(mask)
    kept = tf.gather(x, chosen, axis=3)

    def gradient(dy: Any) -> Any:
        return spread(_conv(kept, dy, (kh, kw, tf.size(chosen), c_out), strides, padding), place, 2)

    return gradient


def pointwise(x: Any, strides: tuple[int, int]) -> Gradient:
    """The whole dW `[1, 1, C_in, C_out]` of a 1x1 convolution: one matrix product, which is faster."""
    return lambda dy: _conv(x, dy, (1, 1), strides, "valid")


def dense_out(x: Any, mask: Any) -> Gradient:
    """dW `[C_in, units]` of the units in `mask [units]`."""
    chosen, place = indices(mask)
    return lambda dy: spread(_matmul(x, tf.gather(dy, chosen, axis=-1)), place, 1)


def dense_in(x: Any, mask: Any) -> Gradient:
    """dW `[C_in, units]` of the inputs in `mask [C_in]`; only those columns of `x` are kept."""
    chosen, place = indices(mask)
    kept = tf.gather(x, chosen, axis=-1)
    return lambda dy: spread(_matmul(kept, dy), place, 0)


def _matmul(x: Any, dy: Any) -> Any:
    """`x [..., A]`, `dy [..., B]` to the sum of outer products `[A, B]`."""
    flat = [tf.reshape(t, [-1, t.shape[-1] or tf.shape(t)[-1]]) for t in (x, dy)]
    return tf.matmul(*flat, transpose_a=True)


def _conv(x: Any, dy: Any, shape: tuple[Any, ...], strides: tuple[int, int], padding: str) -> Any:
    if shape[0] == shape[1] == 1:
        product = _matmul(x[:, :: strides[0], :: strides[1], :], dy)
        return product[tf.newaxis, tf.newaxis]
    return tf.raw_ops.Conv2DBackpropFilter(
        input=x,
        filter_sizes=tf.stack(shape),
        out_backprop=dy,
        strides=[1, *strides, 1],
        padding=padding.upper(),
    )
