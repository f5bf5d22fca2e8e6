"""TFLite's integer requantisation: real factors as Q31 multiplier and shift, and the activation clamp.

>>> quantize_multiplier(0.75)
(1610612736, 0)
>>> requantize(np.array([10, -10, 7]), 1610612736, 0).tolist()
[8, -7, 5]
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from tflm_export.ir import QParams

INT8_MIN, INT8_MAX = -128, 127
ACTIVATIONS: dict[str, tuple[float | None, float | None]] = {
    "NONE": (None, None),
    "RELU": (0.0, None),
    "RELU6": (0.0, 6.0),
    "RELU_N1_TO_1": (-1.0, 1.0),
}


def quantize_multiplier(real: float) -> tuple[int, int]:
    """`(M, n)` with `real ~ M * 2**(n - 31)`, `2**30 <= M < 2**31`; (0, 0) below about 2**-32.

    `real` >= 0, finite. TFLite's `QuantizeMultiplier`.
    """
    if real == 0:
        return 0, 0
    fraction, shift = math.frexp(real)
    multiplier = math.floor(fraction * 2**31 + 0.5)
    if multiplier == 2**31:
        multiplier, shift = 2**30, shift + 1
    return (0, 0) if shift < -31 else (multiplier, shift)


def quantize_multipliers(reals: Sequence[float]) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """`quantize_multiplier` of every channel: multipliers and shifts."""
    pairs = [quantize_multiplier(real) for real in reals]
    return tuple(m for m, _ in pairs), tuple(n for _, n in pairs)


def requantize(acc: np.ndarray, multiplier: int | Sequence[int], shift: int | Sequence[int]) -> np.ndarray:
    """`acc * M * 2**(n - 31)` with TFLite's two roundings. int64 [..., C] in and out.

    Exact while `|acc| * 2**max(n, 0) < 2**31`. One multiplier and shift, or one a channel.
    """
    m, n = np.asarray(multiplier, np.int64), np.asarray(shift, np.int64)
    t = ((np.asarray(acc, np.int64) << np.maximum(n, 0)) * m + (1 << 30)) >> 31
    e = np.maximum(-n, 0)
    half = (np.int64(1) << e) >> 1
    return (t + half - ((t < 0) & (e > 0))) >> e


def activation_range(activation: str, quant: QParams) -> tuple[int, int]:
    """`(act_min, act_max)`: the int8 clamp of a fused activation on a tensor of this quantisation."""
    low, high = ACTIVATIONS[activation]
    act_min = INT8_MIN if low is None else max(INT8_MIN, quantize_float32(low, quant))
    act_max = INT8_MAX if high is None else min(INT8_MAX, quantize_float32(high, quant))
    return act_min, act_max


def quantize_float32(real: float, quant: QParams) -> int:
    """`zero_point + round(real / scale)`, divided in float32, halves away from zero; not clamped."""
    ratio = float(np.float32(real) / np.float32(quant.scale[0]))
    return quant.zero_point[0] + int(math.copysign(math.floor(abs(ratio) + 0.5), ratio))
