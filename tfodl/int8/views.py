"""Layers that move int8 values and change none: padding, other orders, concatenation, constants, forks."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import tensorflow as tf

from tfodl.int8.layers import Int8Layer, register


@register
class Int8Pad(Int8Layer):
    """PAD and PADV2: `value` around the map."""

    options = ("padding", "value")

    def __init__(self, padding: Sequence[Sequence[int]], value: int, **kwargs: Any):
        super().__init__(**kwargs)
        self.padding, self.value = tuple(map(tuple, padding)), value

    def call(self, q: Any) -> Any:
        return tf.pad(q, self.padding, constant_values=float(self.value))


@register
class Int8Move(Int8Layer):
    """TRANSPOSE, SLICE, TILE and the like: every output is one input.

    Output (i, j, ...) is input `base + i stride + j stride ...`, sizes and strides by `axes`; shape: of it.
    """

    options = ("axes", "base", "shape")

    def __init__(self, axes: Sequence[Sequence[int]], base: int, shape: Sequence[int], **kwargs: Any):
        super().__init__(**kwargs)
        self.axes, self.base, self.shape = [list(axis) for axis in axes], base, list(shape)

    def call(self, q: Any) -> Any:
        if self.device is None:
            return self._moved(q)

        @tf.custom_gradient
        def moved(q: Any) -> Any:
            return self._moved(q), lambda dy: self.device.move(dy, q, self._positions(), self.edges)

        return moved(q)

    def _moved(self, q: Any) -> Any:
        flat = tf.reshape(q, [-1, math.prod(q.shape[1:])])
        return tf.reshape(tf.gather(flat, self._positions(), axis=1), [-1, *self.shape])

    def _positions(self) -> np.ndarray:
        """Where every output comes from, int64 [size of the output]."""
        grid = np.indices([size for size, _ in self.axes]).reshape(len(self.axes), -1)
        found: np.ndarray = self.base + np.array([stride for _, stride in self.axes], np.int64) @ grid
        return found.reshape(-1)


@register
class Int8Concatenate(Int8Layer):
    """CONCATENATION of maps of one quantisation along `axis`; the gradient is cut up again."""

    options = ("axis",)

    def __init__(self, axis: int, **kwargs: Any):
        super().__init__(**kwargs)
        self.axis = axis

    def call(self, values: Sequence[Any]) -> Any:
        @tf.custom_gradient
        def joined(*parts: Any) -> Any:
            def gradient(dy: Any) -> Any:
                for edge in self.edges[:-1]:
                    self.device.moved(self.edges[-1], edge)
                return tf.split(dy, [part.shape[self.axis] for part in parts], self.axis)

            return tf.concat(parts, self.axis), gradient

        return joined(*values)


@register
class Constant(Int8Layer):
    """An int8 constant [1, ...] of the graph, once a sample of the input."""

    options = ("values",)

    def __init__(self, values: Any, **kwargs: Any):
        super().__init__(**kwargs)
        self.values = np.asarray(values).tolist()

    def call(self, x: Any) -> Any:
        values = tf.constant(self.values, tf.float32)
        return tf.repeat(values, tf.shape(x)[0], axis=0)


@register
class Fork(Int8Layer):
    """A tensor for several readers; adds their gradients as the board does. Only with `DeviceGradients`."""

    options = ("readers",)

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
