"""Sliding windows: output size, resolved padding, and the pixels that each kernel tap reads."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from tflm_export.ir import Op, Tensor
from tflm_export.ops import check

Window = dict[str, int]


def resolve(op: Op, x: Tensor, y: Tensor, kernel: tuple[int, int]) -> Window:
    """Kernel, stride and explicit padding of `op`; checks x [N, H, W, C] against y [N, P, Q, O].

    SAME pads so that P = ceil(H / stride), the odd pixel after; VALID pads nothing.
    """
    check.rank(op, x, 4)
    check.rank(op, y, 4)
    padding = op.attrs["padding"]
    check.require(
        padding in ("SAME", "VALID"), op, f"padding {padding} is not supported; allowed: SAME, VALID."
    )
    sizes = []
    window: Window = {}
    axes = (("h", "pad_top", "pad_bottom"), ("w", "pad_left", "pad_right"))
    for i, (letter, before, after) in enumerate(axes):
        size, k, stride = x.shape[i + 1], kernel[i], op.attrs[f"stride_{letter}"]
        check.require(stride > 0, op, f"stride {stride} is not supported; allowed: 1 and more.")
        check.require(k > 0, op, f"kernel size {k} is not supported; allowed: 1 and more.")
        out = -(-size // stride) if padding == "SAME" else (size - k) // stride + 1
        total = max(0, (out - 1) * stride + k - size) if padding == "SAME" else 0
        check.require(out > 0, op, f"kernel size {k} exceeds the input size {size}.")
        window |= {
            f"k_{letter}": k,
            f"stride_{letter}": stride,
            before: total // 2,
            after: total - total // 2,
        }
        sizes.append(out)
    check.require(y.shape[1:3] == tuple(sizes), op, f"output map is {y.shape[1:3]}; expected {tuple(sizes)}.")
    check.require(x.shape[0] == y.shape[0], op, f"batch is {x.shape[0]} before and {y.shape[0]} after.")
    return window


def dilated(op: Op, weights: Tensor) -> tuple[int, int]:
    """Extent of the kernel of `weights` [O, k_h, k_w, C] with the op's dilation."""
    sizes = []
    for letter, k in zip("hw", weights.shape[1:3], strict=True):
        dilation = op.attrs.get(f"dilation_{letter}", 1)
        check.require(0 < dilation < 256, op, f"dilation {dilation} is not supported; allowed: 1 to 255.")
        size = (k - 1) * dilation + 1
        check.require(size < 256, op, f"kernel size {size} is not supported; allowed: 1 to 255.")
        sizes.append(size)
    return sizes[0], sizes[1]


def spread_taps(weights: np.ndarray, op: Op) -> np.ndarray:
    """Weights [O, k_h, k_w, C] with zeros between their taps, as wide as the op's dilated kernel."""
    k_h, k_w = op.attrs["k_h"], op.attrs["k_w"]
    if weights.shape[1:3] == (k_h, k_w):
        return weights
    wide = np.zeros((weights.shape[0], k_h, k_w, weights.shape[3]), weights.dtype)
    steps = [(k - 1) // max(1, n - 1) for k, n in zip((k_h, k_w), weights.shape[1:3], strict=True)]
    wide[:, :: max(1, steps[0]), :: max(1, steps[1])] = weights
    return wide


def pad_map(x: np.ndarray, op: Op, fill: int | float) -> np.ndarray:
    """x [N, H, W, C] with the op's padding around it."""
    a = op.attrs
    pads = ((0, 0), (a["pad_top"], a["pad_bottom"]), (a["pad_left"], a["pad_right"]), (0, 0))
    return np.pad(x, pads, constant_values=fill) if any(map(any, pads)) else x


def taps(x: np.ndarray, op: Op, size: tuple[int, ...]) -> Iterator[tuple[int, int, np.ndarray]]:
    """For every tap (ky, kx) the view [N, P, Q, C] of the padded map that it meets."""
    a, (p, q) = op.attrs, size
    for ky in range(a["k_h"]):
        for kx in range(a["k_w"]):
            rows = slice(ky, ky + (p - 1) * a["stride_h"] + 1, a["stride_h"])
            columns = slice(kx, kx + (q - 1) * a["stride_w"] + 1, a["stride_w"])
            yield ky, kx, x[:, rows, columns]
