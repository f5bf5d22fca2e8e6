"""Exponential, logarithm, reciprocal, logistic and tanh in 32-bit fixed point, as TFLite has them.

`Qm.n` has m integer bits and n = 31 - m fraction bits. Arrays are int64 that hold int32 values.

>>> round(float(exp_on_negative_values(np.array([-(1 << 26)]), 5)[0]) / 2**31, 4)  # exp(-1) from Q5.26
0.3679
"""

from __future__ import annotations

import numpy as np

INT32_MAX, INT32_MIN = 2**31 - 1, -(2**31)
EXP_OF_POWER = {  # exp(-2^k) in Q0.31
    -2: 1672461947,
    -1: 1302514674,
    0: 790015084,
    1: 290630308,
    2: 39332535,
    3: 720401,
    4: 242,
}
EXP_MINUS_EIGHTH = 1895147668
ONE_THIRD = 715827883
LOG_2, SQRT_HALF, FOURTH_ROOT_HALF = 1488522236, 1518500250, 1805811301
Q2_48_OVER_17 = 1515870810
Q2_MINUS_32_OVER_17 = -1010580540


def multiply_high(a: np.ndarray, b: np.ndarray | int) -> np.ndarray:
    """Saturating rounding doubling high product: `a * b / 2**31`, halves up."""
    result: np.ndarray = np.minimum((a * b + (1 << 30)) >> 31, INT32_MAX)
    return result


def divide_by_power(x: np.ndarray, e: int | np.ndarray) -> np.ndarray:
    """`x / 2**e`, halves away from zero; `e` >= 0."""
    e = np.asarray(e, np.int64)
    half = (np.int64(1) << e) >> 1
    result: np.ndarray = (x + half - ((x < 0) & (e > 0))) >> e
    return result


def shift_saturating(x: np.ndarray, bits: int | np.ndarray) -> np.ndarray:
    """`x << bits`, saturated to int32."""
    result: np.ndarray = np.clip(x << bits, INT32_MIN, INT32_MAX)
    return result


def exp_small(a: np.ndarray) -> np.ndarray:
    """exp of `a` in [-1/4, 0), Q0.31: a Taylor polynomial around -1/8."""
    x = a + (1 << 28)
    x2 = multiply_high(x, x)
    x3, x4 = multiply_high(x2, x), multiply_high(x2, x2)
    quartic = multiply_high(divide_by_power(x4, 2) + x3, ONE_THIRD)
    tail = divide_by_power(quartic + x2, 1)
    return EXP_MINUS_EIGHTH + multiply_high(x + tail, EXP_MINUS_EIGHTH)


def exp_on_negative_values(a: np.ndarray, integer_bits: int) -> np.ndarray:
    """exp of `a` <= 0 given with `integer_bits` integer bits (4 or 5); Q0.31."""
    fraction_bits = 31 - integer_bits
    quarter = 1 << (fraction_bits - 2)
    rest = (a & (quarter - 1)) - quarter
    result = exp_small(shift_saturating(rest, integer_bits))
    remainder = rest - a
    for power, factor in EXP_OF_POWER.items():
        if power < integer_bits:
            bit = (remainder >> (fraction_bits + power)) & 1
            result = np.where(bit == 1, multiply_high(result, factor), result)
    return np.where(a == 0, INT32_MAX, result)


def _two_over_one_plus(a: np.ndarray) -> np.ndarray:
    """`2 / (1 + a)` Q2.29 for `a` in [0, 1), Q0.31: three Newton-Raphson steps."""
    total = a + INT32_MAX
    half_denominator = (total + np.where(total >= 0, 1, -1)) >> 1
    x = Q2_48_OVER_17 + multiply_high(half_denominator, Q2_MINUS_32_OVER_17)
    for _ in range(3):
        error = (1 << 29) - multiply_high(half_denominator, x)
        x = x + shift_saturating(multiply_high(x, error), 2)
    return x


def one_over_one_plus(a: np.ndarray) -> np.ndarray:
    """`1 / (1 + a)` for `a` in [0, 1), both Q0.31."""
    return shift_saturating(_two_over_one_plus(a), 1)


def tanh(a: np.ndarray, integer_bits: int) -> np.ndarray:
    """`tanh a`, Q0.31: `(1 - x) / (1 + x)` of `x = exp(-2 |a|)`."""
    x = exp_on_negative_values(-np.abs(a), integer_bits + 1)
    result: np.ndarray = np.sign(a) * shift_saturating(_two_over_one_plus(x) - (1 << 29), 2)
    return result


def logistic(a: np.ndarray, integer_bits: int) -> np.ndarray:
    """`1 / (1 + exp(-a))`, Q0.31."""
    positive = one_over_one_plus(exp_on_negative_values(-np.abs(a), integer_bits))
    return np.where(a == 0, 1 << 30, np.where(a > 0, positive, INT32_MAX - positive))


def log(x: np.ndarray, integer_bits: int, result_bits: int) -> np.ndarray:
    """`log x` of `x` >= 1 with `integer_bits` integer bits, in `result_bits`.

    `x = r 2^power` with r around 2^(-1/4), whose logarithm is a rational function of `r - 2^(-1/4)`.
    """
    zeros = 32 - _bits(x)
    r_a = shift_saturating(multiply_high(x << (zeros - 1), SQRT_HALF), 1)
    headroom = 31 - _bits(multiply_high(x, SQRT_HALF))
    r = np.minimum(r_a, shift_saturating(x, headroom))
    unit = 1 << (30 - result_bits)  # an integer bit more, so that nothing saturates
    power = np.maximum(
        (integer_bits - zeros) * unit + unit // 4, (integer_bits - headroom) * unit - unit // 4
    )
    p, q = (r + FOURTH_ROOT_HALF + 1) >> 1, 2 * (r - FOURTH_ROOT_HALF)
    square = multiply_high(q, q)
    numerator = multiply_high(q, r) + multiply_high(multiply_high(q, square), 117049297)
    factor = 1057819769 + q + multiply_high(square, 127690142)
    denominator = multiply_high(p, factor) + multiply_high(q, 638450708)
    fraction = multiply_high(divide_by_power(numerator, result_bits + 1), one_over_one_plus(denominator))
    return shift_saturating(multiply_high(power, LOG_2) + fraction, 1)


def _bits(x: np.ndarray) -> np.ndarray:
    """Bits of 0 <= x < 2^31."""
    return np.ceil(np.log2(x + 1.0)).astype(np.int64)


def reciprocal(x: np.ndarray, integer_bits: int) -> tuple[np.ndarray, np.ndarray]:
    """`1 / x` for `x` > 0 of `integer_bits` integer bits: Q0.31 mantissa in (1/2, 1], bits over one."""
    headroom = 32 - _bits(x)
    mantissa = (x << headroom) - (1 << 31)
    return one_over_one_plus(mantissa), integer_bits - headroom
