"""Scratch bytes of every kernel: the `..._scratch_bytes` functions of arduino/src/tfodl, in Python.

The emitted engine holds both to each other with static_asserts, so a difference does not compile.
"""

from __future__ import annotations

import math
from dataclasses import replace

from tflm_export.geometry import Geometry
from tflm_export.ir import Graph, Op
from tflm_export.round_up import round_up

GRAD_CHANNELS = 8  # of a depthwise layer, whose gradients are taken at a time
DEEP_GROUPS = 128  # of 4 channels, from which on a pointwise gradient takes 8 pixels at a time


def forward(op: Op, layer: Op, graph: Graph) -> int:
    """Scratch of a layer's inference."""
    geometry, columns = Geometry.of(layer, graph), trained_columns(op, graph)
    return forward_bytes(
        some_pixels(geometry, op.attrs["pixels"]) if "pixels" in op.attrs else geometry, columns
    )


def input_gradient(op: Op, layer: Op, graph: Graph) -> int:
    """Scratch of a layer's input gradient, in int16 or float32."""
    geometry = Geometry.of(layer, graph)
    if graph.tensors[op.inputs[0]].dtype == "float32":
        return _float32(geometry)
    return gradient_bytes(some_pixels(geometry, op.attrs["pixels"]) if "pixels" in op.attrs else geometry)


def update(op: Op, layer: Op, graph: Graph) -> int:
    """Scratch of a weight update; none in float32."""
    if graph.tensors[op.inputs[0]].dtype == "float32":
        return 0
    return _update(op, Geometry.of(layer, graph))


def _column(geometry: Geometry) -> int:
    """Products in one output value."""
    return geometry.kernel[0] * geometry.kernel[1] * geometry.in_shape[2]


def _tile(depth: int, geometry: Geometry) -> int:
    """Pixels that the DSP path widens at once, each `depth` products deep."""
    p, q, _ = geometry.out_shape
    fitting = min(256, max(16, (512 // ((depth + 3) // 4)) & ~1))
    return min(fitting, (p * q + 1) & ~1)


def trained_columns(layer: Op, graph: Graph) -> int:
    """Input channels of a layer that train apart from the others."""
    for op in graph.updates:
        if op.of == layer.name and op.attrs["along"] and not op.attrs["resident"]:
            room = int(op.attrs.get("room", 0))
            return room or len(op.attrs["channels"]) % graph.tensors[op.inputs[-1]].shape[-1]
    return 0


def _columns(update: Op) -> int:
    """Input channels that an update of columns takes at most."""
    return int(update.attrs.get("room", len(update.attrs["channels"])))


def _column_bytes(geometry: Geometry, columns: int) -> int:
    """One widened column with its trained input channels."""
    return 2 * round_up(_column(geometry) + math.prod(geometry.kernel) * columns)


def some_pixels(g: Geometry, pixels: int) -> Geometry:
    """`pixels` pixels of a 1x1 layer."""
    return replace(g, in_shape=(1, pixels, g.in_shape[2]), out_shape=(1, pixels, g.out_shape[2]))


def forward_bytes(geometry: Geometry, columns: int) -> int:
    """Scratch of an inference, `columns` of whose input channels train."""
    if geometry.depthwise:
        return max(4 * geometry.in_shape[2], _depthwise_band(geometry))
    depth = _column(geometry)
    if geometry.in_shape[:2] == geometry.out_shape[:2] == geometry.kernel == (1, 1) and not any(geometry.pad):
        return _column_bytes(geometry, columns)
    return (depth + 3) // 4 * (8 * _tile(depth, geometry) + 32)


def _band(outputs: tuple[int, int], kernel: tuple[int, int], stride: tuple[int, int]) -> tuple[int, ...]:
    """Quads of outputs in a row, words of a plane row, input and output rows of a band: 4 planes in 4 KB."""
    quads = (outputs[1] + 3) // 4
    words = ((4 * quads - 1) * stride[1] + kernel[1] + 1) // 2
    fitting = max(1, (256 // words - kernel[0]) // stride[0] + 1)
    rows = min(fitting, outputs[0])
    return quads, words, (rows - 1) * stride[0] + kernel[0], rows


def _depthwise_band(geometry: Geometry) -> int:
    """Four channels of a band of rows as padded planes of int16, and the sums of some rows."""
    quads, words, rows, out_rows = _band(geometry.out_shape[:2], geometry.kernel, geometry.stride)
    return 16 * (rows * words + quads * min(max(1, 16 // quads), out_rows))


def _pointwise_tile(depth: int, geometry: Geometry) -> int:
    """Gradients of a tile of pixels and four columns of weights, widened: fewer pixels where it is large."""
    groups, pixels = (depth + 3) // 4, _tile(depth, geometry)
    return groups * (8 * (min(pixels, 8) if groups >= DEEP_GROUPS else pixels) + 32)


def gradient_rows(geometry: Geometry) -> int:
    """Rows of a depthwise layer's input gradient that are made in one band."""
    return _band(geometry.in_shape[:2], geometry.kernel, (1, 1))[3]


def _depthwise_plane(geometry: Geometry) -> int:
    """Four channels' gradients of a band, spread by the stride, and the sums of one row."""
    quads, words, rows, _ = _band(geometry.in_shape[:2], geometry.kernel, (1, 1))
    return 16 * (rows * words + quads)


def gradient_bytes(geometry: Geometry) -> int:
    """Scratch of an int16 input gradient."""
    (_, q, o), c = geometry.out_shape, geometry.in_shape[2]
    if geometry.pointwise:
        return max(4 * o + 8 * c, _pointwise_tile(o, geometry))
    if geometry.depthwise:
        some = min(c, GRAD_CHANNELS)
        return max(round_up(2 * geometry.kernel[0] * q * some) + 4 * some, _depthwise_plane(geometry))
    return round_up(2 * geometry.kernel[0] * q * o) + 4 * c


def _float32(geometry: Geometry) -> int:
    """The taps over a pixel (depthwise), the gradients over 4 pixels (others)."""
    together = 1 if math.prod(geometry.in_shape[:2]) < 4 else 4
    return 8 * geometry.products if geometry.depthwise else 4 * together * geometry.products


def depthwise_sums_bytes(geometry: Geometry) -> int:
    """Four channels' sums and gradients; of a candidate its chosen channels lie behind them."""
    positions = geometry.out_shape[0] * geometry.out_shape[1]
    return 32 * geometry.kernel[0] * geometry.kernel[1] + 8 * min(positions, 256)


def _update(op: Op, geometry: Geometry) -> int:
    positions = geometry.out_shape[0] * geometry.out_shape[1]
    if op.kind.startswith("FULLY_CONNECTED_WEIGHTS") and positions == 1:
        return 0
    if geometry.depthwise:
        return depthwise_sums_bytes(geometry) + (math.prod(geometry.in_shape) if "pooled" in op.attrs else 0)
    channels = _columns(op) if op.attrs["along"] else geometry.in_shape[2]
    return rows_update_bytes(geometry, channels)


def rows_update_bytes(geometry: Geometry, channels: int, most: int = 32) -> int:
    """Scratch of an update of rows or columns by `channels` input channels, `most` fours at a time."""
    positions = geometry.out_shape[0] * geometry.out_shape[1]
    groups = (min(positions, 256) + 3) // 4
    quads = min(geometry.kernel[0] * geometry.kernel[1] * ((channels + 3) // 4), 128 // groups, most)
    return quads * (32 * groups + (96 if positions > 256 else 32)) + 16 * groups
