"""The input gradient of CONV_2D, DEPTHWISE_CONV_2D and FULLY_CONNECTED, a sum over kernel taps.

Arrays are float64 holding integers (exact: all sums stay below 2^53), or real numbers in the reference. Real
gradients may be float32 too: then every sum is taken in the order of the board's kernels (ordered.py).
Letters: H, W input map; P, Q output map; C input, O output channels (geometry.py).
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from tflm_export.geometry import Geometry
from tflm_export.ir import Graph, Op
from tflm_export.ops import ordered
from tflm_export.ops.arithmetic import Gradient, round_half_up, rshift, saturate
from tflm_export.ops.call import Call, Mask, Sums, gate
from tflm_export.ops.convolution import scratch
from tflm_export.ops.convolution.layer import conv_struct, layer_kernel, weight_scale
from tflm_export.ops.kind import Backward, Emitter, GradientKind
from tflm_export.ops.result import output_quant, tensor_quant
from tflm_export.ops.text import kernel_call

REQUANTISATION = ("multiplier", "shift")


def rule(b: Backward, op: Op, g: str, mask: str, wanted: list[str]) -> None:
    """The gradient of the input reads the weights."""
    b.gradient(f"{op.kind}_INPUT_GRADIENT", op, (g, mask, op.inputs[1]), wanted[0])


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
    dtype = real_type(g)
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


def real_type(g: np.ndarray) -> type:
    return np.float32 if g.dtype == np.float32 else np.float64


def _four_axes(weights: np.ndarray) -> np.ndarray:
    """Dense weights become `[O, 1, 1, C]`."""
    return weights if weights.ndim == 4 else weights[:, None, None, :]


def input_gradient(call: Call, g: Gradient, passing: Mask, weights: np.ndarray) -> Sums:
    """Gradient of the input: `sum G W` with the prepared gradient G."""
    geometry = Geometry.of(call.forward, call.graph)
    prepared = prepare(g, passing, call.forward, call.graph)
    acc = input_sums(prepared.values.reshape(geometry.out_shape), _four_axes(weights), geometry)
    return Sums(acc.astype(np.int64).reshape(call.in_shape), prepared.exponent)


def real_input_gradient(call: Call, g: np.ndarray, passing: Mask, weights: np.ndarray) -> np.ndarray:
    """The same in float64 or float32, from and to real gradients."""
    geometry = Geometry.of(call.forward, call.graph)
    scale = weight_scale(call.forward, call.graph).astype(g.dtype)
    g = gate(g, passing).reshape(geometry.out_shape)
    if geometry.depthwise:  # one channel, one scale: after the sum
        result: np.ndarray = (input_sums(g, _four_axes(weights), geometry) * scale).reshape(call.in_shape)
        return result
    return input_sums(g * scale, _four_axes(weights), geometry).reshape(call.in_shape)


def first_shift(op: Op, graph: Graph) -> int:
    """A sum of K products of 14-bit gradients and 6-bit weights has about 20 + log2(K) / 2 bits, less the
    headroom; where the guess is too low or too high the first step computes the tensor again."""
    products = Geometry.of(graph.layers[op.of], graph).products
    headroom = max(0, math.ceil(math.log2(products / 256)))
    return max(0, 4 + round(math.log2(products) / 2) - headroom)


def _call(e: Emitter, op: Op) -> list[str]:
    layer, scale = e.layer(op), conv_scale(e.layer(op), e.graph)
    factors = kernel_call("grad_factors", conv_struct(e, layer), scale.multiplier, scale.shift, e.factors(op))
    if "again" in op.attrs:
        return [*factors, *_over(e, op, op.attrs["again"])]
    return [*factors, *_kernel(e, op, e.scale(op), e.at(op.outputs[0], "s16"))]


def _kernel(e: Emitter, op: Op, state: str, *g_x: str, name: str = "input_grad_s16") -> list[str]:
    """The kernel with the GradScale `state`; `g_x` is where it writes, if not over what it reads."""
    layer, scale = e.layer(op), conv_scale(e.layer(op), e.graph)
    grad = f"{{{e.factors(op)}, {scale.exponent}, {scale.headroom}}}"
    g, mask, _ = op.inputs
    args = (e.at(g, "s16"), e.exponent(g), e.at(mask, "bits"), *g_x, state, e.scratch(op))
    if "pixels" in op.attrs:
        conv = f"{conv_struct(e, layer)}, {op.attrs['pixels']}"
        return kernel_call("pointwise_pixels_input_grad_s16", conv, grad, *args)
    return kernel_call(f"{layer_kernel(e, layer)}_{name}", conv_struct(e, layer), grad, *args)


def _over(e: Emitter, op: Op, before: Op) -> list[str]:
    """The kernel that works in place; where its shift did not fit, the op before runs again, with the shift
    it had, and then it."""
    (over,) = _kernel(e, op, e.scale(op), name="input_grad_over_s16")
    exponent = conv_scale(e.layer(before), e.graph).exponent
    shift = f"{e.scale(before)}.exponent - ({e.exponent(before.inputs[0])} + {exponent})"
    return [
        f"if (!{over.removesuffix(';')}) {{",
        f"  tfodl::GradScale same = {{0, static_cast<int8_t>({shift})}};",
        *(f"  {line}" for line in _kernel(e, before, "same", e.at(before.outputs[0], "s16"))),
        f"  {over}",
        "}",
    ]


def _call_f32(e: Emitter, op: Op) -> list[str]:
    layer = e.layer(op)
    scales = e.tables.add("float", f"weight_scale{op.label}", weight_scale(layer, e.graph))
    kind = "depthwise" if Geometry.of(layer, e.graph).depthwise else "conv"
    args = (conv_struct(e, layer), scales, e.at(op.inputs[0], "f32"), e.at(op.outputs[0], "f32"))
    return kernel_call(f"{kind}_input_grad_f32", *args, e.scratch(op))


KIND = GradientKind(
    input_gradient, real_input_gradient, _call, _call_f32,
    first_shift=first_shift, prepared=True, scratch=scratch.input_gradient,
)  # fmt: skip
