"""Scratch bytes of the kernels that run in slices: the functions of arduino/src/tfodl/slices.h, in Python."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from tflm_export.geometry import Geometry
from tflm_export.ops.convolution import scratch
from tflm_export.round_up import round_up

PIXELS = 16  # of the first layer at a time
ROWS_QUADS = 3  # of input channels that an update takes at a time


def forward(expand: Geometry, depthwise: Geometry, n: int, columns: int) -> int:
    """Of `slices_s8`, n channels at a time. columns: input channels of the first layer that train."""
    kernels = max(
        scratch.forward_bytes(_outputs(expand, n), columns), scratch.forward_bytes(_both(depthwise, n), 0)
    )
    inside, outside = _positions(depthwise.in_shape), _positions(depthwise.out_shape)
    weights = depthwise.kernel[0] * depthwise.kernel[1] * n
    parts = (kernels, inside * n, outside * n, inside * n // 8, outside * n // 8, weights)
    return sum(round_up(size, 8) for size in parts)


def backward(layers: Sequence[Geometry], n: int, pixels: int, columns: int) -> int:
    """Of `sliced_input_grad_s16`, `sliced_updates`. layers: the three of a bottleneck, in forward order."""
    (expand, depthwise, project), outputs = layers, layers[2].out_shape[2]
    kernels = max(
        scratch.gradient_bytes(scratch.some_pixels(_inputs(project, n), pixels)) if pixels else 8 * outputs,
        scratch.gradient_bytes(scratch.some_pixels(_outputs(expand, n), PIXELS)),
        scratch.gradient_bytes(_both(depthwise, n)),
        2 * _positions(depthwise.out_shape),
        scratch.rows_update_bytes(expand, columns, ROWS_QUADS) if columns else 0,
    )
    return sum(round_up(size, 8) for size in (kernels, 2 * project.out_shape[2], 8 * n))


def slices(depthwise: Geometry, n: int) -> int:
    """Gradients, masks and weights of n channels of a depthwise layer (`sliced_grad_slices_bytes`)."""
    inside, outside = _positions(depthwise.in_shape), _positions(depthwise.out_shape)
    second = 0 if in_place(depthwise) else 2 * round_up(inside * n, 8)
    small = (outside * n // 8, inside * n // 8, depthwise.kernel[0] * depthwise.kernel[1] * n)
    return 2 * round_up(outside * n, 8) + second + sum(round_up(size, 8) for size in small)


def sums(expand: Geometry) -> int:
    """Sums of half of the first layer's pixels (`sliced_grad_sums_bytes`)."""
    return 4 * ((_positions(expand.in_shape) + 1) // 2) * expand.in_shape[2]


def in_place(depthwise: Geometry) -> bool:
    """Whether the slice of the second gradient takes the place of the first one's."""
    same = depthwise.in_shape == depthwise.out_shape and depthwise.stride == (1, 1)
    return same and scratch.gradient_rows(depthwise) == depthwise.in_shape[0]


def _positions(shape: tuple[int, int, int]) -> int:
    return shape[0] * shape[1]


def _outputs(g: Geometry, n: int) -> Geometry:
    return replace(g, out_shape=(*g.out_shape[:2], n))


def _inputs(g: Geometry, n: int) -> Geometry:
    return replace(g, in_shape=(*g.in_shape[:2], n))


def _both(g: Geometry, n: int) -> Geometry:
    return _inputs(_outputs(g, n), n)
