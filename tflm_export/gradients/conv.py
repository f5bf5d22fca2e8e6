"""Gradients of CONV_2D, DEPTHWISE_CONV_2D and FULLY_CONNECTED, a sum over kernel taps.

Arrays are float64 holding integers (exact: all sums stay below 2^53), or real numbers in the reference. Real
gradients may be float32 too: then every sum is taken in the order of the board's kernels (ordered.py).
Letters: H, W input map; P, Q output map; C input, O output channels. A dense layer is a 1x1 convolution of
a map of one row, as wide as the layer has rows; a depthwise layer has O = C and weights `[1, k_h, k_w, C]`.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from tflm_export.geometry import Geometry
from tflm_export.gradients import ordered
from tflm_export.gradients.arithmetic import Gradient, round_half_up, rshift, saturate
from tflm_export.gradients.call import Call, Sums
from tflm_export.gradients.elementwise import Mask, gate
from tflm_export.ir import Graph, Op
from tflm_export.ops.result import output_quant, tensor_quant

REQUANTISATION = ("multiplier", "shift")


@dataclass(frozen=True)
class ConvScale:
    """Constants of the prepared gradient: `m` is s_w by the layer's requantisation, times
    `multiplier * 2**(shift - 31)`; its exponent and the headroom.
    """

    multiplier: int
    shift: int
    exponent: int
    headroom: int

    def m(self, layer: Op, channels: int) -> np.ndarray:
        """`s_w / 2^k` in Q15, int16 [O]; `layer` has them in its requantisation."""
        multiplier, shift = (np.broadcast_to(np.asarray(layer.attrs[a]), (channels,)) for a in REQUANTISATION)
        high = (multiplier.astype(np.int64) * self.multiplier + 2**31) >> 32
        down = np.minimum(30 - self.shift - shift.astype(np.int64), 32)
        return np.minimum((high + (1 << (down - 1))) >> down, 32767).astype(np.int16)


def conv_scale(layer: Op, graph: Graph) -> ConvScale:
    """What turns g_y of a layer into the prepared gradient."""
    k = math.frexp(float(weight_scale(layer, graph).max()))[1]  # the smallest k with max < 2^k
    s_x, s_y = tensor_quant(graph, layer.inputs[0]).scale[0], output_quant(layer, graph).scale[0]
    fraction, shift = math.frexp(s_y / s_x)
    headroom = max(0, math.ceil(math.log2(Geometry.of(layer, graph).products / 256)))
    multiplier = min(2**31 - 1, round_half_up(fraction * 2**31))
    return ConvScale(multiplier, shift + 15 - k, k + headroom, headroom)


def prepare(gradient: Gradient, passing: np.ndarray | None, layer: Op, graph: Graph) -> Gradient:
    """`G = rshift(g_y * pass * m, 15 + h)`. `gradient` int16 [..., O], `passing` bool of that shape."""
    scale = conv_scale(layer, graph)
    g = gradient.values.astype(np.int64) * scale.m(layer, gradient.values.shape[-1])
    if passing is not None:
        g = g * passing
    values = saturate(rshift(g, 15 + scale.headroom), 16).astype(np.int16)
    return Gradient(values, gradient.exponent + scale.exponent)


def input_sums(g: np.ndarray, weights: np.ndarray, geometry: Geometry) -> np.ndarray:
    """`sum G W` over output channels and taps: g [P, Q, O] -> [H, W, C], float64 unless g is float32."""
    dtype = _real_type(g)
    out: np.ndarray = np.zeros((*geometry.padded, geometry.in_shape[2]), dtype)
    g, weights = g.astype(dtype), weights.astype(dtype)
    for ky, kx, pixels in geometry.taps():
        if geometry.depthwise:
            out[pixels] += g * weights[0, ky, kx]
        elif dtype == np.float32:
            ordered.add_products(out[pixels], g, weights[:, ky, kx])
        else:
            out[pixels] += g @ weights[:, ky, kx]
    (top, left), (h, w, _) = geometry.pad, geometry.in_shape
    return out[top : top + h, left : left + w]


def weight_sums(g: np.ndarray, x: np.ndarray, geometry: Geometry) -> np.ndarray:
    """`sum g x` over the output map: g [P, Q, O], x [H, W, C] -> [O, k_h, k_w, C], or [1, k_h, k_w, C].

    `x` has its zero point taken off already and may hold some of the input channels only.
    """
    (h, w, _), (top, left) = geometry.in_shape, geometry.pad
    height, width = geometry.padded
    dtype = _real_type(g)
    x = np.pad(x.astype(dtype), ((top, height - h - top), (left, width - w - left), (0, 0)))
    channels, outputs = x.shape[2], g.shape[2]
    g = g.astype(dtype).reshape(-1, outputs)
    out: np.ndarray = np.zeros((1 if geometry.depthwise else outputs, *geometry.kernel, channels), dtype)
    for ky, kx, pixels in geometry.taps():
        seen = x[pixels].reshape(-1, channels)
        if geometry.depthwise:
            out[0, ky, kx] = ordered.total(g * seen)
        else:
            out[:, ky, kx] = ordered.outer(g, seen) if dtype == np.float32 else g.T @ seen
    return out


def _real_type(g: np.ndarray) -> type:
    return np.float32 if g.dtype == np.float32 else np.float64


def weight_scale(op: Op, graph: Graph) -> np.ndarray:
    """Real scale of the weights, float64 [O]: the float32 of the file, one an output channel."""
    scale = np.array(tensor_quant(graph, op.inputs[1]).scale)
    return np.broadcast_to(scale, Geometry.of(op, graph).out_shape[2:]).copy()


def _weights(weights: np.ndarray) -> np.ndarray:
    """Weights with four axes: dense ones become `[O, 1, 1, C]`."""
    return weights if weights.ndim == 4 else weights[:, None, None, :]


def input_gradient(call: Call, g: Gradient, passing: Mask, weights: np.ndarray) -> Sums:
    """Gradient of the input: `sum G W` with the prepared gradient G."""
    geometry = Geometry.of(call.forward, call.graph)
    prepared = prepare(g, passing, call.forward, call.graph)
    acc = input_sums(prepared.values.reshape(geometry.out_shape), _weights(weights), geometry)
    return Sums(acc.astype(np.int64).reshape(call.in_shape), prepared.exponent)


def real_input_gradient(call: Call, g: np.ndarray, passing: Mask, weights: np.ndarray) -> np.ndarray:
    """The same in float64 or float32, from and to real gradients."""
    geometry = Geometry.of(call.forward, call.graph)
    scale = weight_scale(call.forward, call.graph).astype(g.dtype)
    g = gate(g, passing).reshape(geometry.out_shape)
    if geometry.depthwise:  # one channel, one scale: after the sum
        return (input_sums(g, _weights(weights), geometry) * scale).reshape(call.in_shape)
    return input_sums(g * scale, _weights(weights), geometry).reshape(call.in_shape)


def weight_gradient(call: Call, g: np.ndarray, passing: Mask, x: np.ndarray) -> np.ndarray:
    """`A_W` of the trained weights, exact in float64; in float32 where g is.

    Shape: rows `[n, k_h, k_w, C]`, columns `[O, k_h, k_w, n]`, depthwise `[1, k_h, k_w, n]`.
    g: values of the output's gradient. x: int8 input, or only its trained channels (columns, depthwise).
    """
    op, channels = call.forward, list(call.op.attrs["channels"])
    geometry = Geometry.of(op, call.graph)
    g = gate(g, passing).reshape(geometry.out_shape)
    x = x.astype(np.float64).reshape(*geometry.in_shape[:2], -1)
    x = x - tensor_quant(call.graph, op.inputs[0]).zero_point[0]
    by_input = call.op.attrs["axis"] == "in" or geometry.depthwise
    if by_input and x.shape[2] != len(channels):
        x = x[:, :, channels]
    if geometry.depthwise or not by_input:
        g = g[:, :, channels]
    return weight_sums(g, x, geometry)


def gather(op: Op, x: np.ndarray) -> np.ndarray:
    """GATHER_CHANNELS: the input channels that an update reads, [positions, n]."""
    return x.reshape(-1, op.attrs["of"])[:, list(op.attrs["channels"])]


def bias_gradient(call: Call, g: np.ndarray, passing: Mask) -> np.ndarray:
    """`A_b` [n] of the trained biases, exact in float64, in float32 where g is; `g` [..., O]."""
    g = gate(g, passing).astype(_real_type(g))
    return ordered.total(g.reshape(-1, g.shape[-1]))[list(call.op.attrs["channels"])]
