"""The integer primitives of docs/arithmetic.md: shifts, the shift rule, random numbers, update steps.

Everything is numpy int64 unless a dtype is given; every function is what the C++ kernels do, bit for bit.

>>> rshift(np.array([-3, -2, 2, 3]), 1).tolist()
[-1, -1, 1, 2]
>>> narrow(np.array([70000, -5]), exponent=-20, shift=0)
(Gradient(values=array([4375,    0], dtype=int16), exponent=-16), 4)
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

WEIGHT_LIMIT = 2**19  # 8 LSB a sample
BIAS_LIMIT = 2**46
SUM_LIMIT = 2**38 - 1
FEWEST_BITS, BITS, MOST_BITS = 11, 13, 15  # of a gradient tensor's largest value: allowed, aimed at


@dataclass(frozen=True)
class Gradient:
    """`values` int16, any shape: the real gradient is `values * 2**exponent`."""

    values: np.ndarray
    exponent: int

    def real(self) -> np.ndarray:
        """The gradient as float64."""
        return np.ldexp(self.values.astype(np.float64), self.exponent)


def rshift(x: np.ndarray, s: int) -> np.ndarray:
    """Shift right by `s` >= 0 bits, rounding half up. `x` int64, |x| + 2**(s-1) < 2**63."""
    x = np.asarray(x, np.int64)
    return (x + (1 << (s - 1))) >> s if s > 0 else x


def bitlen(x: np.ndarray) -> int:
    """Bits of the largest magnitude in `x`; 0 when all are 0."""
    return int(np.abs(np.asarray(x, np.int64)).max(initial=0)).bit_length()


def saturate(x: np.ndarray, bits: int) -> np.ndarray:
    """Clamp to the symmetric range of a signed integer of `bits` bits: int16 is -32767..32767."""
    limit = (1 << (bits - 1)) - 1
    result: np.ndarray = np.clip(x, -limit, limit)
    return result


def narrow(acc: np.ndarray, exponent: int, shift: int) -> tuple[Gradient, int]:
    """The shift rule: int32 accumulators `acc` (real value `acc * 2**exponent`) become int16.

    Returns the gradient and the shift to start from in the next step.
    """
    n = bitlen(acc)
    fitting = max(0, n - BITS)
    if n - shift > MOST_BITS or (n - shift < FEWEST_BITS and n > 0):
        shift = fitting
    gradient = Gradient(saturate(rshift(acc, shift), 16).astype(np.int16), exponent + shift)
    return gradient, fitting if n - shift == MOST_BITS else shift


def align(g1: Gradient, g2: Gradient) -> tuple[np.ndarray, int]:
    """The sum of two gradients as accumulators with one exponent (before `narrow`)."""
    low, high = sorted((g1.exponent, g2.exponent))
    base = max(low, high - 15)

    def moved(g: Gradient) -> np.ndarray:
        by = g.exponent - base
        values = g.values.astype(np.int64)
        return values << by if by >= 0 else rshift(values, min(-by, 32))

    return moved(g1) + moved(g2), base


def fraction_q15(real: float) -> tuple[int, int]:
    """`(F, k)` with `real ~ F * 2**(k - 15)`, F in [2**14, 2**15 - 1]: a positive factor in Q15.

    >>> fraction_q15(1 / 9)
    (29127, -3)
    """
    f, k = math.frexp(real)
    return min(32767, round_half_up(f * 2**15)), k


def round_half_up(x: float) -> int:
    """Nearest integer; halves go up, as in C's `floor(x + 0.5)`."""
    return math.floor(x + 0.5)


def mix(x: np.ndarray) -> np.ndarray:
    """A 32-bit integer hash: every input bit reaches every output bit. uint32 in and out."""
    x = np.asarray(x, np.uint64)
    x = ((x ^ (x >> np.uint64(16))) * np.uint64(0x7FEB352D)) & np.uint64(0xFFFFFFFF)
    x = ((x ^ (x >> np.uint64(15))) * np.uint64(0x846CA68B)) & np.uint64(0xFFFFFFFF)
    result: np.ndarray = (x ^ (x >> np.uint64(16))).astype(np.uint32)
    return result


def random_key(seed: int, step: int, tensor: int) -> int:
    """The key of one trained tensor in one step."""
    first = int(mix(np.array((seed + 0x9E3779B9 * step) % 2**32)))
    return int(mix(np.array(first ^ (0x85EBCA6B * tensor) % 2**32)))


def random_bits(key: int, index: np.ndarray) -> np.ndarray:
    """`R` in [0, 65535] for flat indices `index`."""
    return (mix((np.asarray(index, np.uint64) + np.uint64(key)) & np.uint64(0xFFFFFFFF)) >> 16).astype(
        np.int64
    )


def float_parts(r: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """`(M, E)` with `r = M * 2**E` exactly and 2**23 <= |M| < 2**24; (0, 0) for 0. `r` float32."""
    fraction, exponent = np.frexp(np.asarray(r, np.float32).astype(np.float64))
    mantissa = (fraction * 2**24).astype(np.int64)
    return mantissa, np.where(mantissa == 0, 0, exponent.astype(np.int64) - 24)


def step_units(sums: np.ndarray, rate: np.ndarray, exponent: int, limit: int) -> np.ndarray:
    """`U`: the step in LSB of the parameter, 16 fraction bits, clamped to ±limit.

    sums: exact gradients `A`, int64. rate: `lr * c`, float32, broadcasts with `sums`.
    exponent: of the output gradient.
    """
    mantissa, e = float_parts(rate)
    product = np.clip(sums, -SUM_LIMIT, SUM_LIMIT) * mantissa
    shift = np.broadcast_to(e + exponent + 16, product.shape)
    down = product >> np.clip(-shift, 0, 63)
    up = np.clip(shift, 0, 62)
    bound = np.int64(limit) >> up
    raised = np.where(
        np.abs(product) > bound, np.sign(product) * limit, np.clip(product, -bound, bound) << up
    )
    result: np.ndarray = np.clip(-np.where(shift >= 0, raised, down), -limit, limit)
    return result


def float_units(sums: np.ndarray, rate: np.ndarray, limit: int) -> np.ndarray:
    """`U` from float32 gradients: `-rate * sums * 2**16` clamped to ±limit, halves away from zero, int64.

    >>> float_units(np.float32([0.25, -3.0, 1e9]), np.float32(2.0**-16), 2**24).tolist()
    [0, 3, -16777216]
    """
    v = np.asarray(rate, np.float32) * np.asarray(sums, np.float32) * np.float32(2**16)
    held = np.where(v >= limit, np.float32(limit), np.where(v > -limit, v, np.float32(-limit)))
    half = np.float32(0.5)
    return np.trunc(np.where(held < 0, half - held, -half - held)).astype(np.int64)
