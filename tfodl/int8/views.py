"""Layers that move int8 values and change none: padding, concatenation, constants, forks."""

from __future__ import annotations

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
