"""Gradients of MEAN, AVERAGE_POOL_2D, MAX_POOL_2D, PAD and CONCATENATION: where each output came from.

Letters: H, W, C input map; P, Q output map. Maps have N = 1.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from tflm_export.gradients.arithmetic import Gradient, fraction_q15, rshift
from tflm_export.gradients.call import Call, Sums
from tflm_export.ops.window import taps


def mean(call: Call, g: Gradient) -> Gradient:
    """MEAN: `rshift(g F, 15)` to every position."""
    factor, exponent = fraction_q15(1 / call.forward.attrs["count"])
    values = rshift(g.values.astype(np.int64) * factor, 15).astype(np.int16)
    return Gradient(_spread(call, values), g.exponent + exponent)


def real_mean(call: Call, g: np.ndarray) -> np.ndarray:
    """The same in float64 or float32."""
    return _spread(call, g / call.forward.attrs["count"])


def _spread(call: Call, values: np.ndarray) -> np.ndarray:
    """Values of the output's shape at every position of the input."""
    axes = call.forward.attrs["axes"]
    kept = [1 if i in axes else size for i, size in enumerate(call.in_shape)]
    return np.broadcast_to(values.reshape(kept), call.in_shape).copy()


def _padded(call: Call) -> tuple[int, int, int, int]:
    a, (n, h, w, c) = call.forward.attrs, call.in_shape
    return n, h + a["pad_top"] + a["pad_bottom"], w + a["pad_left"] + a["pad_right"], c


def _windows(call: Call, padded: np.ndarray) -> Iterator[np.ndarray]:
    """Views [1, P, Q, C] of the padded input map, one a tap, row-major."""
    size = call.graph.tensors[call.forward.outputs[0]].shape[1:3]
    return (view for _, _, view in taps(padded, call.forward, size))


def _inside(call: Call, padded: np.ndarray) -> np.ndarray:
    """The map without its padding."""
    a, (_, h, w, _) = call.forward.attrs, call.in_shape
    return padded[:, a["pad_top"] : a["pad_top"] + h, a["pad_left"] : a["pad_left"] + w]


def _counts(call: Call) -> np.ndarray:
    """Pixels that every window holds, int64 [1, P, Q, 1]."""
    ones = np.zeros(_padded(call), np.int64)
    _inside(call, ones)[...] = 1
    total = np.zeros(call.graph.tensors[call.forward.outputs[0]].shape, np.int64)
    for view in _windows(call, ones):
        total += view
    return total


def _finished(call: Call, acc: np.ndarray, exponent: int) -> Sums | Gradient:
    """Windows that lie apart and whole give int16 at once; others need the shift rule."""
    a = call.forward.attrs
    apart = a["stride_h"] >= a["k_h"] and a["stride_w"] >= a["k_w"]
    padded = any(a[side] for side in ("pad_top", "pad_left", "pad_bottom", "pad_right"))
    return Gradient(acc.astype(np.int16), exponent) if apart and not padded else Sums(acc, exponent)


def average_pool(call: Call, g: Gradient) -> Sums | Gradient:
    """AVERAGE_POOL_2D: every pixel gets its windows' `rshift(g F, 15) << (k_c - k)`."""
    counts = _counts(call)
    full = fraction_q15(1 / (call.forward.attrs["k_h"] * call.forward.attrs["k_w"]))[1]
    shares = np.zeros(g.values.shape, np.int64)
    for count in np.unique(counts):
        factor, exponent = fraction_q15(1 / int(count))
        share = rshift(g.values.astype(np.int64) * factor, 15) << (exponent - full)
        shares = np.where(counts == count, share, shares)
    return _finished(call, _scatter(call, shares, None), g.exponent + full)


def real_average_pool(call: Call, g: np.ndarray) -> np.ndarray:
    """The same in float64 or float32."""
    return _scatter(call, g / _counts(call).astype(g.dtype), None)


def _scatter(call: Call, shares: np.ndarray, owner: np.ndarray | None) -> np.ndarray:
    """Sum `shares` [1, P, Q, C] over the windows; with `owner`, only at that tap of each window.

    The last tap first: a pixel takes its windows in row-major order, as the float32 kernels do.
    """
    padded = np.zeros(_padded(call), shares.dtype)
    for tap, view in reversed(list(enumerate(_windows(call, padded)))):
        view += shares if owner is None else shares * (owner == tap)
    return _inside(call, padded)


def _first_maximum(call: Call, x: np.ndarray) -> np.ndarray:
    """The tap that holds each window's first maximum, [1, P, Q, C]; padding never wins."""
    padded = np.full(_padded(call), -129, np.int64)
    _inside(call, padded)[...] = x
    return np.stack(list(_windows(call, padded))).argmax(0)


def max_pool(call: Call, g: Gradient, x: np.ndarray) -> Sums | Gradient:
    """MAX_POOL_2D: to the first maximum in row-major order."""
    moved = _scatter(call, g.values.astype(np.int64), _first_maximum(call, x))
    return _finished(call, moved, g.exponent)


def real_max_pool(call: Call, g: np.ndarray, x: np.ndarray) -> np.ndarray:
    """The same in float64 or float32."""
    return _scatter(call, g, _first_maximum(call, x))


def _part(call: Call) -> tuple[slice, ...]:
    """The part of the output that one input of PAD or CONCATENATION fills."""
    if call.forward.kind != "CONCATENATION":
        pads = call.forward.attrs["padding"]
        return tuple(slice(b, b + n) for (b, _), n in zip(pads, call.in_shape, strict=True))
    axis, position = call.forward.attrs["axis"], call.op.attrs["position"]
    sizes = [call.graph.tensors[name].shape[axis] for name in call.forward.inputs]
    start = sum(sizes[:position])
    return (*(slice(None),) * axis, slice(start, start + sizes[position]))


def part(call: Call, g: Gradient) -> Gradient:
    """PAD and CONCATENATION: cropped, sliced."""
    return Gradient(g.values[_part(call)], g.exponent)


def real_part(call: Call, g: np.ndarray) -> np.ndarray:
    """The same in float64 or float32."""
    return g[_part(call)]
