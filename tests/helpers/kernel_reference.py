"""docs/arithmetic.md once more, written for the kernel tests alone: loops over definitions, exact integers.

>>> shift_rule(np.array([70000, -5]), exponent=-20, shift=0)
(array([4375,    0], dtype=int16), -16, 4)
"""

from __future__ import annotations

import math
from collections.abc import Iterator

import numpy as np
from kernel_runner import Conv, GradScale, Pool, Sgd, UpdateState


def rshift(x, s: int):
    return np.asarray(x, np.int64) if s == 0 else (np.asarray(x, np.int64) + (1 << (s - 1))) >> s


def bit_length(values: np.ndarray) -> int:
    return max((abs(int(v)).bit_length() for v in np.ravel(values)), default=0)


def shift_rule(acc: np.ndarray, exponent: int, shift: int) -> tuple[np.ndarray, int, int]:
    """int16 gradients, their exponent, the next step's shift."""
    n = bit_length(acc)
    if n - shift > 15 or (0 < n < 11 + shift):
        shift = max(0, n - 13)
    g = np.clip(rshift(acc, shift), -32767, 32767).astype(np.int16)
    following = n - 13 if n - shift == 15 else shift
    return g, exponent + shift, following


def check_shift_rule(got: np.ndarray, scale: GradScale, acc: np.ndarray, exponent: int, shift: int) -> None:
    """`got` and `scale` are what the rule makes of `acc` when the shift was `shift`."""
    g, e, following = shift_rule(acc, exponent, shift)
    np.testing.assert_array_equal(got.reshape(-1), g.reshape(-1))
    assert (scale.exponent, scale.shift) == (e, following)


def prepared(g: np.ndarray, scale: np.ndarray, headroom: int) -> np.ndarray:
    """`G` from gradients [..., C_out] that the mask has already gated."""
    return rshift(g.astype(np.int64) * scale, 15 + headroom)


def taps(conv: Conv) -> Iterator[tuple[tuple[int, int], tuple[int, int], tuple[int, int]]]:
    """(oy, ox), (ky, kx), (iy, ix) of every product, the input pixel inside the map."""
    for oy, ox, ky, kx in np.ndindex(conv.out_h, conv.out_w, conv.k_h, conv.k_w):
        iy, ix = oy * conv.stride_h + ky - conv.pad_top, ox * conv.stride_w + kx - conv.pad_left
        if 0 <= iy < conv.in_h and 0 <= ix < conv.in_w:
            yield (oy, ox), (ky, kx), (iy, ix)


def input_sums(conv: Conv, g: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Transposed convolution of g [P, Q, O] with weights [O, k_h, k_w, C] or [k_h, k_w, C] -> [H, W, C]."""
    out = np.zeros((conv.in_h, conv.in_w, conv.in_c), np.result_type(g, np.int64))
    for o, k, i in taps(conv):
        out[i] += g[o] * weights[k] if weights.ndim == 3 else g[o] @ weights[:, k[0], k[1]]
    return out


def weight_sums(
    conv: Conv, g: np.ndarray, x: np.ndarray, depthwise: bool, dtype: type = np.int64
) -> np.ndarray:
    """`A_W`: g [P, Q, O], x [H, W, C] without its zero point -> [O, k_h, k_w, C] or [k_h, k_w, C] of `dtype`,
    summed by output position."""
    shape = (conv.k_h, conv.k_w, x.shape[2])
    out = np.zeros(shape if depthwise else (conv.out_c, *shape), dtype)
    g, x = g.astype(dtype), x.astype(dtype)
    for o, k, i in taps(conv):
        if depthwise:
            out[k] += g[o] * x[i]
        else:
            out[:, k[0], k[1]] += np.outer(g[o], x[i])
    return out


def windows(p: Pool) -> Iterator[tuple[tuple[int, int], list[tuple[int, int]]]]:
    """(oy, ox) and the input pixels under it, row-major."""
    for oy, ox in np.ndindex(p.out_h, p.out_w):
        rows = range(oy * p.stride_h - p.pad_top, oy * p.stride_h - p.pad_top + p.k_h)
        columns = range(ox * p.stride_w - p.pad_left, ox * p.stride_w - p.pad_left + p.k_w)
        yield (oy, ox), [(y, x) for y in rows for x in columns if 0 <= y < p.in_h and 0 <= x < p.in_w]


def fraction(real: float) -> tuple[int, int]:
    """`real` as F * 2^(k - 15), F in Q15."""
    f, k = math.frexp(real)
    return min(32767, math.floor(f * 2**15 + 0.5)), k


def mix(x: int) -> int:
    x ^= x >> 16
    x = x * 0x7FEB352D % 2**32
    x ^= x >> 15
    x = x * 0x846CA68B % 2**32
    return x ^ (x >> 16)


def random_bits(sgd: Sgd, tensor: int, i: int) -> int:
    key = mix(mix((sgd.seed + 0x9E3779B9 * sgd.step) % 2**32) ^ (0x85EBCA6B * tensor % 2**32))
    return mix((key + i) % 2**32) >> 16


def units(a: int, rate: np.float32, exponent: int, limit: int) -> int:
    """`U` from the exact gradient `a` and `lr * c`, Python integers of any size."""
    mantissa, e = math.frexp(float(rate))
    m, shift = int(mantissa * 2**24), e - 24 + exponent + 16
    product = max(-(2**38) + 1, min(2**38 - 1, a)) * m
    moved = product << shift if shift > 0 else product >> min(-shift, 63)
    return max(-limit, min(limit, -moved))


def sat32(x: int) -> int:
    return max(-(2**31), min(2**31 - 1, x))


def stepped(value: int, u: int, at: int, i: int, sgd: Sgd, state: UpdateState, bias: bool = False) -> int:
    """The parameter after a step of `u`; `at`: place in the state, `i`: number. Changes `state`."""
    if state.batch is not None:
        total = sat32(int(state.batch.flat[at]) + u)
        state.batch.flat[at] = 0 if sgd.apply else total
        if not sgd.apply:
            return value
        u = total
    if state.momentum is not None:
        u = sat32(int(rshift(sgd.momentum * int(state.momentum.flat[at]), 15)) + u)
        state.momentum.flat[at] = u
    limit = 2**30 if bias else 127
    if sgd.rounding == 1 and not bias:
        t = u + int(state.accumulator.flat[at])
        d = (t + 32768) >> 16
        new = max(-limit, min(limit, value + d))
        state.accumulator.flat[at] = t - (d << 16) if new == value + d else 0
        return new
    return max(-limit, min(limit, value + ((u + random_bits(sgd, state.tensor, i)) >> 16)))
