"""`DeviceGradients`: the backward pass with the board's rounding, one sample at a time.

The layers of `tfodl.int8.linear` give gradients in float, in batches of any size. Here each gradient is
`g * 2^e` with g in int16, prepared, shifted and summed as docs/arithmetic.md says, so that a run at batch 1
makes the board's weight updates. Written from the specification, not from the compiler's code: that the two
agree is a test of both.

A gradient function runs while the step is traced, in the reverse order of the ops, so the exponents pass from
one to the next in a dict; only the shifts live on from step to step.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import tensorflow as tf

from tflm_export.ops.arithmetic import BITS, FEWEST_BITS, MOST_BITS
from tfodl.int8.integers import bitlen, fraction_q15, int16, power, rshift
from tfodl.int8.pooling import BELOW_INT8
from tfodl.int8.watch import Watch

SLOPE_BITS = 13
FIRST_SUM_SHIFT, FIRST_PRODUCT_SHIFT, FIRST_LOGISTIC_SHIFT, FIRST_LOOKUP_SHIFT = 3, 6, 11, 13
FIRST_BILINEAR_SHIFT, WEIGHT_BITS = 16, 20  # of a pixel's weight
GRADIENT_BITS, PRODUCT_BITS = 15, 23  # of one term of a sum over a repeated operand


class DeviceGradients:
    """Exponents of this step's gradients and the shifts from step to step.

    Tensors are named by the reader of a forward tensor: an edge. Every method takes and gives real gradients
    (`g * 2^e`, exact in float32 and float64) and notes the exponent of what it gives.
    """

    def __init__(self) -> None:
        self._exponents: dict[str, Any] = {}
        self._shifts: dict[str, tf.Variable] = {}
        self.known: tf.Variable | None = None  # classes in use, the first ones; None for all
        self.watched: dict[str, Watch] = {}  # by the layer's name

    def shift(self, name: str, start: int) -> None:
        """Declare the shift of edge `name` (a variable cannot be made while a step is traced)."""
        self._shifts[name] = tf.Variable(start, dtype=tf.int64, trainable=False)

    def integers(self, dy: Any, edge: str) -> tuple[Any, Any]:
        """The int16 values (as int64) and the exponent of the gradient `dy` of edge `edge`."""
        e = self._exponents[edge]
        return tf.cast(tf.round(tf.cast(dy, tf.float64) * power(-e)), tf.int64), e

    def note(self, edge: str, g: Any, e: Any) -> Any:
        """The real gradient `g * 2^e` of edge `edge`, float32."""
        self._exponents[edge] = e
        return tf.cast(tf.cast(g, tf.float64) * power(e), tf.float32)

    def moved(self, source: str, target: str) -> None:
        """The gradient of `target` is `source`'s, element for element (ADD, RESHAPE, PAD, a clip mask)."""
        self._exponents[target] = self._exponents[source]

    def narrow(self, acc: Any, e: Any, name: str) -> tuple[Any, Any]:
        """The shift rule: int32 sums (as int64) to int16."""
        shift = self._shifts[name]
        s = tf.identity(shift)
        n = bitlen(acc)
        fitting = tf.maximum(tf.zeros_like(n), n - BITS)
        bad = (n - s > MOST_BITS) | ((n - s < FEWEST_BITS) & (n > 0))
        s = tf.where(bad, fitting, s)
        g = int16(rshift(acc, s))
        shift.assign(tf.where(n - s == MOST_BITS, fitting, s))
        return g, e + s

    def linear(self, layer: Any, dy: Any, x: Any, kernel: Any) -> tuple[Any, Any, Any]:
        """Gradients of the padded, centred input, the integer kernel and the integer bias of a layer."""
        g, e = self.integers(dy, layer.edges[-1])
        if layer.name in self.watched:
            self.watched[layer.name].note(g, e)
        scale = np.asarray(layer.weight_scale)
        m, k, h = prepared_scale(scale, layer.products)
        prepared = int16(rshift(g * m, 15 + h))
        x, kernel = tf.cast(x, tf.float64), tf.cast(kernel, tf.float64)
        dx, _ = _pulled_back(layer, x, kernel, prepared)
        _, a_w = _pulled_back(layer, x, kernel, g)
        a_b = tf.cast(tf.reduce_sum(g, axis=list(range(len(g.shape) - 1))), tf.float64)
        real = power(e) * layer.input_scale
        inside, outside = layer.crop(dx)
        narrow, e_x = self.narrow(tf.cast(tf.round(inside), tf.int64), e + k + h, layer.edges[0])
        dx = tf.pad(self.note(layer.edges[0], narrow, e_x), outside)
        return dx, a_w * real * layer.per_channel(scale), a_b * real * scale

    def mean(self, dy: Any, count: int, edges: Sequence[str]) -> Any:
        """MEAN of `count` elements: `rshift(g F, 15)`, in the output's shape."""
        g, e = self.integers(dy, edges[-1])
        factor, k = fraction_q15(1 / count)
        return self.note(edges[0], rshift(g * factor, 15), e + k)

    def share(self, dy: Any, like: Any, source: str, target: str) -> Any:
        """ADD and SUB, the gradient of the operand `like`: `dy`, summed where the operand was repeated."""
        if not target:
            return None
        if not repeated_axes(dy, like):
            self.moved(source, target)
            return dy
        g, e = self.integers(dy, source)
        return self._summed(g, e, like, GRADIENT_BITS, target)

    def product(self, dy: Any, partner: Any, like: Any, scale: float, source: str, target: str) -> Any:
        """MUL, the gradient of the factor `like`: `rshift(g F, 15)` times its centred partner."""
        if not target:
            return None
        g, e = self.integers(dy, source)
        factor, k = fraction_q15(scale)
        terms = rshift(g * factor, 15) * tf.cast(partner, tf.int64)
        return self._summed(terms, e + k, like, PRODUCT_BITS, target)

    def chosen(self, dy: Any, taken: Any, like: Any, source: str, target: str) -> Any:
        """MINIMUM and MAXIMUM, the gradient of the operand `like`: `dy` where it was taken."""
        if not target:
            return None
        g, e = self.integers(dy, source)
        return self._summed(g * tf.cast(taken, tf.int64), e, like, GRADIENT_BITS, target)

    def _summed(self, terms: Any, e: Any, like: Any, bits: int, target: str) -> Any:
        """The gradient of `like`, which was repeated to the shape of `terms` of so many bits."""
        count = math.prod(terms.shape[axis] for axis in repeated_axes(terms, like))
        headroom = max(0, math.ceil(math.log2(count)) - (31 - bits))
        acc = rshift(repeated_sum(terms, like), headroom)
        return self.note(target, *self.narrow(acc, e + headroom, target))

    def logistic(self, dy: Any, q: Any, edges: Sequence[str]) -> Any:
        """LOGISTIC from its output `q`: `g (q + 128) (128 - q)`."""
        g, e = self.integers(dy, edges[-1])
        q = tf.cast(q, tf.int64)
        return self.note(edges[0], *self.narrow(g * (q + 128) * (128 - q), e - 16, edges[0]))

    def lookup(self, dy: Any, slope: Any, edges: Sequence[str]) -> Any:
        """TANH, HARD_SWISH, ELU and the like: `g slope`, the slope in Q13."""
        g, e = self.integers(dy, edges[-1])
        return self.note(edges[0], *self.narrow(g * tf.cast(slope, tf.int64), e - SLOPE_BITS, edges[0]))

    def move(self, dy: Any, q: Any, positions: np.ndarray, edges: Sequence[str]) -> Any:
        """Every gradient to the element of `q` at its position, less h bits where several come to one."""
        g, e = self.integers(dy, edges[-1])
        readers = int(np.bincount(positions).max())
        h = math.ceil(math.log2(readers)) + 1 if readers > 1 else 0
        size = math.prod(q.shape[1:])
        total = tf.math.unsorted_segment_sum(rshift(tf.reshape(g, [-1]), h), positions, size)
        return self.note(edges[0], tf.reshape(total, tf.shape(q)), e + h)

    def bilinear(self, dy: Any, layer: Any) -> Any:
        """RESIZE_BILINEAR: exact sums by weight in Q20, moved right once to stay in int32."""
        g, e = self.integers(dy, layer.edges[-1])
        total = math.prod(float(side.sum(axis=0).max()) for side in layer.weights())
        h = GRADIENT_BITS + WEIGHT_BITS - 31 + max(0, math.ceil(math.log2(total)) - WEIGHT_BITS)
        acc = rshift(tf.cast(layer.spread(tf.cast(g, tf.float64)), tf.int64), h)
        return self.note(layer.edges[0], *self.narrow(acc, e - WEIGHT_BITS + h, layer.edges[0]))

    def pool(self, dy: Any, q: Any, layer: Any) -> Any:
        """AVERAGE_POOL_2D and MAX_POOL_2D of the map `q`: every window's share to its pixels, or to the first
        of its largest."""
        g, e = self.integers(dy, layer.edges[-1])
        if layer.mode == "max":
            padded = layer.padded(q, BELOW_INT8)
            owners = tf.argmax(tf.stack(list(layer.taps(padded))), axis=0)
            parts = [tf.where(owners == tap, g, 0) for tap in range(math.prod(layer.size))]
        else:
            g, k = window_share(g, layer, q.shape)
            e, parts = e + k, [g] * math.prod(layer.size)
        acc = _scattered(parts, layer, q)
        if not layer.apart:
            acc, e = self.narrow(acc, e, layer.edges[0])
        return self.note(layer.edges[0], acc, e)

    def total(self, gradients: Sequence[Any], edges: Sequence[str], edge: str) -> Any:
        """Gradient of a tensor with several readers, the last reader first, as the board adds them."""
        pairs = [self.integers(dy, name) for dy, name in zip(gradients, edges, strict=True)][::-1]
        g, e = pairs[0]
        for place, (g2, e2) in enumerate(pairs[1:]):
            base = tf.maximum(tf.minimum(e, e2), tf.maximum(e, e2) - 15)
            g, e = self.narrow(_aligned(g, e - base) + _aligned(g2, e2 - base), base, f"{edge}/sum{place}")
        return self.note(edge, g, e)


def prepared_scale(weight_scale: np.ndarray, products: int) -> tuple[np.ndarray, int, int]:
    """`m[co]` Q15, its exponent k and the headroom h of the prepared gradient."""
    k = math.frexp(float(weight_scale.max()))[1]
    m = np.minimum(32767, np.floor(weight_scale / 2.0**k * 2**15 + 0.5)).astype(np.int64)
    return m, k, max(0, math.ceil(math.log2(products / 256)))


def first_shift(products: int, headroom: int) -> int:
    """Where the shift of an input gradient starts: a sum of K products has about 20 + log2(K) / 2 bits."""
    return max(0, 4 + round(math.log2(products) / 2) - headroom)


def _aligned(g: Any, by: Any) -> Any:
    up = tf.bitwise.left_shift(g, tf.broadcast_to(tf.maximum(by, 0), tf.shape(g)))
    return tf.where(by >= 0, up, rshift(g, tf.clip_by_value(-by, 0, 32)))


def _pulled_back(layer: Any, x: Any, kernel: Any, g: Any) -> tuple[Any, Any]:
    """Exact integer gradients of the layer's sum for an output gradient `g` int64."""
    with tf.GradientTape() as tape:
        tape.watch([x, kernel])
        y = layer._sum(x, kernel)
    found: tuple[Any, Any] = tape.gradient(y, [x, kernel], output_gradients=tf.cast(g, tf.float64))
    return found


def repeated_axes(g: Any, like: Any) -> list[int]:
    """The axes along which `like`, of the same rank, was repeated to the shape of `g`."""
    return [i for i, size in enumerate(like.shape) if i and size == 1 and g.shape[i] != 1]


def repeated_sum(g: Any, like: Any) -> Any:
    """`g` summed over them."""
    axes = repeated_axes(g, like)
    return tf.reduce_sum(g, axis=axes, keepdims=True) if axes else g


def window_share(g: Any, layer: Any, shape: Sequence[int]) -> tuple[Any, int]:
    """AVERAGE_POOL_2D of a map [1, H, W, C]: `rshift(g F, 15) << (k_c - k)` and k, of windows that hold c."""
    inside = np.pad(np.ones((1, *shape[1:3], 1), np.int64), ((0, 0), *layer.pads, (0, 0)))
    counts = sum(layer.taps(inside))
    k = fraction_q15(1 / math.prod(layer.size))[1]
    share = tf.zeros_like(g)
    for count in np.unique(counts).tolist():
        factor, k_c = fraction_q15(1 / count)
        moved = tf.bitwise.left_shift(rshift(g * factor, 15), tf.fill(tf.shape(g), np.int64(k_c - k)))
        share = tf.where(counts == count, moved, share)
    return share, k


def _scattered(parts: Sequence[Any], layer: Any, q: Any) -> Any:
    """Every part [1, P, Q, C] at the pixels that `layer.taps` takes it from; whole numbers, [1, H, W, C]."""
    x = tf.zeros(tf.shape(q), tf.float64)
    with tf.GradientTape() as tape:
        tape.watch(x)
        taps = list(layer.taps(layer.padded(tf.ensure_shape(x, q.shape), 0.0)))
    found = tape.gradient(taps, x, output_gradients=[tf.cast(part, tf.float64) for part in parts])
    return tf.cast(tf.round(found), tf.int64)
