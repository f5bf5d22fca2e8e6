// Integer primitives of docs/arithmetic.md. Internal.
#ifndef TFODL_DETAIL_FIXED_POINT_H
#define TFODL_DETAIL_FIXED_POINT_H
#include <stdint.h>

namespace tfodl {

inline int32_t clamp_s32(int32_t v, int32_t low, int32_t high) {
  return v < low ? low : v > high ? high : v;
}

inline int64_t clamp_s64(int64_t v, int64_t low, int64_t high) {
  return v < low ? low : v > high ? high : v;
}

// Round half up.
inline int32_t rshift(int32_t x, int32_t s) { return s > 0 ? ((x >> (s - 1)) + 1) >> 1 : x; }
inline int64_t rshift_s64(int64_t x, int32_t s) { return s > 0 ? ((x >> (s - 1)) + 1) >> 1 : x; }

inline int32_t bit_length(uint32_t magnitude) { return magnitude ? 32 - __builtin_clz(magnitude) : 0; }

inline uint32_t magnitude(int32_t x) { return x < 0 ? 0U - static_cast<uint32_t>(x) : static_cast<uint32_t>(x); }

// (x * m) / 2^bits, round half up; bits: 31, where x and m are not both -2^31, or 32.
template <int32_t bits>
inline int32_t multiply_and_shift(int32_t x, int32_t m) {
#if defined(__ARM_ARCH_6M__) || defined(__ARM_ARCH_8M_BASE__)
  // Their multiplier gives 32 bits: four products of halves, which cost half a call of the library's function.
  constexpr int32_t below = bits - 16, mask = (1 << below) - 1;
  const int32_t x1 = x >> 16, m1 = m >> 16, x0 = x & 0xFFFF, m0 = m & 0xFFFF;
  const int32_t low = static_cast<int32_t>(static_cast<uint32_t>(x0) * static_cast<uint32_t>(m0) >> 16);
  const int32_t left = x1 * m0 + low, right = x0 * m1;
  const int32_t carry = ((left & mask) + (right & mask) + (1 << (below - 1))) >> below;
  const uint32_t high = static_cast<uint32_t>(x1 * m1) << (32 - bits);
  return static_cast<int32_t>(high + static_cast<uint32_t>((left >> below) + (right >> below) + carry));
#else
  return static_cast<int32_t>((static_cast<int64_t>(x) * m + (int64_t{1} << (bits - 1))) >> bits);
#endif
}

// (x * m) / 2^31, round half up.
inline int32_t doubling_high_multiply(int32_t x, int32_t m) { return multiply_and_shift<31>(x, m); }

// (x * m) / 2^32, round half up: one instruction on a Cortex-M4.
inline int32_t high_multiply(int32_t x, int32_t m) {
#if defined(__ARM_FEATURE_DSP) && !defined(TFODL_PORTABLE)
  int32_t high;
  __asm("smmulr %0, %1, %2" : "=r"(high) : "r"(x), "r"(m));
  return high;
#else
  return multiply_and_shift<32>(x, m);
#endif
}

// x / 2^e, ties away from zero; 0 <= e <= 31.
inline int32_t divide_by_power(int32_t x, int32_t e) {
  return e > 0 ? (((x + (x >> 31)) >> (e - 1)) + 1) >> 1 : x;
}

// TensorFlow Lite's MultiplyByQuantizedMultiplier (double rounding); shift positive = left.
inline int32_t requantize(int32_t x, int32_t multiplier, int32_t shift) {
  if (shift > 0) {
    return doubling_high_multiply(static_cast<int32_t>(static_cast<uint32_t>(x) << shift), multiplier);
  }
  return divide_by_power(doubling_high_multiply(x, multiplier), -shift);
}

inline int16_t saturate_s16(int32_t v) { return static_cast<int16_t>(clamp_s32(v, -32767, 32767)); }

inline int32_t saturate_s8(int32_t v) {
#if defined(__ARM_FEATURE_DSP) && !defined(TFODL_PORTABLE)
  __asm("ssat %0, #8, %0" : "+r"(v));
  return v;
#else
  return clamp_s32(v, -128, 127);
#endif
}

inline bool get_bit(const uint8_t* mask, int32_t i) { return (mask[i >> 3] >> (i & 7)) & 1; }

inline void put_bit(uint8_t* mask, int32_t i, bool value) {
  const int32_t rest = mask[i >> 3] & ~(1 << (i & 7));
  mask[i >> 3] = static_cast<uint8_t>(rest | (static_cast<int32_t>(value) << (i & 7)));
}

// Moves `bits` down and puts in at the top whether value <= range.
inline uint32_t push_bit(uint32_t bits, uint32_t value, uint32_t range) {
#if defined(__ARM_FEATURE_DSP) && !defined(TFODL_PORTABLE)
  __asm("cmp %2, %1\n"
        "rrx %0, %0" : "+r"(bits) : "r"(value), "r"(range) : "cc");
  return bits;
#else
  return (bits >> 1) | (static_cast<uint32_t>(value <= range) << 31);
#endif
}

// Clamps of an output and its clip mask.
struct Clip {
  int32_t zero, low, high;

  // `a`: the value before requantisation, `v`: after it, without the zero point. Bit `i` of `mask`.
  int8_t operator()(int32_t a, int32_t v, uint8_t* mask, int32_t i) const {
    v += zero;
    if (mask) put_bit(mask, i, v <= high && (low == zero ? a > 0 : v >= low));
    return static_cast<int8_t>(clamp_s32(v, low, high));
  }
};

}  // namespace tfodl

#endif  // TFODL_DETAIL_FIXED_POINT_H
