"""Random convolutions for the kernel tests: a `.tflite` of one op, and the struct that its kernel takes."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from hypothesis import strategies as st
from kernel_runner import Conv
from tflite_file import O, T, build, conv_options, fused

from tflm_export.ir import Graph

Draw = Callable[[Any], Any]
scales = st.floats(2.0**-10, 0.25, width=32)
zeros = st.integers(-128, 127)
sizes = st.integers(1, 9)
seeds = st.integers(0, 2**32 - 1)
ACTIVATIONS = st.sampled_from(["NONE", "RELU", "RELU6", "RELU_N1_TO_1"])
COMMON = scales, zeros, sizes, seeds, ACTIVATIONS


def int8(rng: np.random.Generator, shape: tuple[int, ...]) -> np.ndarray:
    """Random int8, the extremes among them."""
    return rng.integers(-128, 128, shape).astype(np.int8)


@dataclass(frozen=True)
class Geometry:
    """Shapes [H, W, C], kernel and stride (h, w), padding as TFLite names it."""

    in_shape: tuple[int, int, int]
    out_shape: tuple[int, int, int]
    kernel: tuple[int, int]
    stride: tuple[int, int]
    padding: str


def draw_geometry(draw: Draw, kind: str, kernel=None, stride=None, channels=sizes) -> Geometry:
    """Any kernel up to 5, stride up to 3, map up to 9; FULLY_CONNECTED is 1x1 with up to 60 inputs."""
    if kind == "FULLY_CONNECTED":
        shape = (1, 1, draw(st.integers(1, 60)))
        return Geometry(shape, (1, 1, draw(channels)), (1, 1), (1, 1), "VALID")
    k = kernel or (draw(st.integers(1, 5)), draw(st.integers(1, 5)))
    s = stride or (draw(st.integers(1, 3)), draw(st.integers(1, 3)))
    padding = draw(st.sampled_from(["SAME", "VALID"]))
    least = k if padding == "VALID" else (1, 1)
    h, w = draw(st.integers(least[0], 9)), draw(st.integers(least[1], 9))
    c = draw(channels)
    o = c if kind == "DEPTHWISE_CONV_2D" else draw(channels)
    out = [
        math.ceil((n if padding == "SAME" else n - i + 1) / j) for n, i, j in zip((h, w), k, s, strict=True)
    ]
    return Geometry((h, w, c), (out[0], out[1], o), k, s, padding)


def conv_model(draw: Draw, rng: np.random.Generator, kind: str, geometry: Geometry) -> bytes:
    """A `.tflite` of one op x -> y with random weights, scales and zero points."""
    c, o = geometry.in_shape[2], geometry.out_shape[2]
    shape, axis = {
        "CONV_2D": ((o, *geometry.kernel, c), 0),
        "DEPTHWISE_CONV_2D": ((1, *geometry.kernel, o), 3),
        "FULLY_CONNECTED": ((o, c), 0),
    }[kind]
    dense = kind == "FULLY_CONNECTED"
    count = 1 if dense else o
    scale = (rng.uniform(0.5, 2.0, count) * draw(st.floats(2.0**-13, 2.0**-6))).astype(np.float32)
    x = T("x", (1, c) if dense else (1, *geometry.in_shape), scale=draw(scales), zero=draw(zeros))
    y = T("y", (1, o) if dense else (1, *geometry.out_shape), scale=draw(scales), zero=draw(zeros))
    w = T("w", shape, scale=scale, axis=axis, data=rng.integers(-127, 128, shape).astype(np.int8))
    b = T("b", (o,), "int32", 1e-4, data=rng.integers(-20000, 20000, o).astype(np.int32))
    if dense:
        b.scale = float(np.float32(x.scale) * scale[0])
    activation = draw(ACTIVATIONS)
    options = fused(activation) if dense else conv_options(geometry.padding, geometry.stride, activation)
    if kind == "DEPTHWISE_CONV_2D":
        options["DepthMultiplier"] = 1
    return build([x, w, b, y], [O(kind, ["x", "w", "b"], ["y"], options)], ["x"], ["y"])


def kernel_conv(graph: Graph) -> tuple[Conv, np.ndarray]:
    """The struct of the graph's one op, and its weights [O, k_h, k_w, C] or [k_h, k_w, C]."""
    op = graph.ops[0]
    x, w, b, y = (graph.tensors[name] for name in (*op.inputs, *op.outputs))
    a = op.attrs
    if op.kind == "FULLY_CONNECTED":
        weights = w.data.reshape(w.shape[0], 1, 1, -1).copy()
        window = (1, 1, weights.shape[3], 1, 1, w.shape[0], 1, 1, 1, 1, 0, 0)
    else:
        weights = w.data.copy() if op.kind == "CONV_2D" else w.data[0].copy()
        keys = ("k_h", "k_w", "stride_h", "stride_w", "pad_top", "pad_left")
        window = (*x.shape[1:], *y.shape[1:], *(a[key] for key in keys))
    zeros = x.quant.zero_point[0], y.quant.zero_point[0], a["act_min"], a["act_max"]
    multiplier, shift = np.array(a["multiplier"], np.int32), np.array(a["shift"], np.int8)
    return Conv(*window, *zeros, weights, b.data.copy(), multiplier, shift), weights


def random_conv(rng: np.random.Generator, geometry: Geometry, depthwise: bool) -> tuple[Conv, np.ndarray]:
    """A convolution without a `.tflite`: the struct and its weights, for kernels that do not requantise."""
    (h, w, c), (p, q, o) = geometry.in_shape, geometry.out_shape
    pads = [
        max(0, (out - 1) * s + k - size) // 2 if geometry.padding == "SAME" else 0
        for out, s, k, size in zip((p, q), geometry.stride, geometry.kernel, (h, w), strict=True)
    ]
    shape = (*geometry.kernel, c) if depthwise else (o, *geometry.kernel, c)
    weights = rng.integers(-127, 128, shape).astype(np.int8)
    zero = int(rng.integers(-128, 128))
    window = (h, w, c, p, q, o, *geometry.kernel, *geometry.stride, *pads)
    return Conv(*window, zero, 0, -128, 127, weights, None, None, None), weights
