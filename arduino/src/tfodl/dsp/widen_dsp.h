// int8 to int16, two at a time. Internal.
#ifndef TFODL_DSP_WIDEN_DSP_H
#define TFODL_DSP_WIDEN_DSP_H
#include "tfodl/dsp/dsp.h"

#if TFODL_DSP
#include <string.h>

namespace tfodl {
namespace dsp {

// {sext(bytes[0]), sext(bytes[2])} + offset; the odd ones for widen_odd. Both halves wrap.
inline uint32_t widen_even(uint32_t bytes, uint32_t offset) {
  uint32_t halves;
  __asm("sxtab16 %0, %1, %2" : "=r"(halves) : "r"(offset), "r"(bytes));
  return halves;
}
inline uint32_t widen_odd(uint32_t bytes, uint32_t offset) {
  uint32_t halves;
  __asm("sxtab16 %0, %1, %2, ror #8" : "=r"(halves) : "r"(offset), "r"(bytes));
  return halves;
}

// {low half of a, low half of b} and {high half of a, high half of b}.
inline uint32_t low_halves(uint32_t a, uint32_t b) {
  uint32_t halves;
  __asm("pkhbt %0, %1, %2, lsl #16" : "=r"(halves) : "r"(a), "r"(b));
  return halves;
}
inline uint32_t high_halves(uint32_t a, uint32_t b) {
  uint32_t halves;
  __asm("pkhtb %0, %1, %2, asr #16" : "=r"(halves) : "r"(b), "r"(a));
  return halves;
}

inline uint32_t halves(int32_t low, int32_t high) { return (uint32_t(low) & 0xFFFFu) | (uint32_t(high) << 16); }
inline uint32_t both_halves(int32_t value) { return (uint32_t(value) & 0xFFFFu) * 0x10001u; }

inline uint32_t load_word(const void* at) {  // need not be aligned
  uint32_t word;
  memcpy(&word, at, 4);
  return word;
}

// Four int8 channels widened: {0, 2} and {1, 3}.
struct Halves {
  uint32_t even, odd;
};
// One word of each of 4 planes, `plane` words apart, from two pixels (or weights).
inline void put_words(const Halves& left, const Halves& right, uint32_t* to, int32_t plane) {
  to[0] = low_halves(left.even, right.even);
  to[plane] = low_halves(left.odd, right.odd);
  to[2 * plane] = high_halves(left.even, right.even);
  to[3 * plane] = high_halves(left.odd, right.odd);
}

// The first n < 4 bytes at `at`; the others are `fill`.
inline uint32_t load_bytes(const int8_t* at, int32_t n, int8_t fill) {
  uint32_t word = 0;
  for (int32_t i = 0; i < 4; ++i) word |= uint32_t(uint8_t(i < n ? at[i] : fill)) << (8 * i);
  return word;
}

inline void fill_words(uint32_t* to, int32_t n, uint32_t value) {  // newlib-nano's memset goes by bytes
  for (uint32_t* const end = to + n; to < end; ++to) __asm volatile("str %1, %0" : "=m"(*to) : "r"(value));
}

constexpr uint32_t kUpperBytes = 0xFF00FF00;  // of both halves

// In the layout of block_dsp.h. Each returns the end of what it has written.
extern "C" {
// `groups` whole groups of 4 rows; `scaled`: times 2^8.
uint32_t* tfodl_widen_four(const int8_t* const* rows, int32_t groups, uint32_t* to);
uint32_t* tfodl_scale_four(const int8_t* const* rows, int32_t groups, uint32_t* to);
// `groups` > 0 whole groups of two pixels plus an offset in both halves.
uint32_t* tfodl_widen_pair(const int8_t* first, const int8_t* second, int32_t groups, uint32_t offset, uint32_t* to);
// The same of one pixel of a pair.
uint32_t* tfodl_widen_words(const int8_t* from, int32_t groups, uint32_t offset, uint32_t* to);
// The same of 3 rows of 9 bytes, `pitch` apart: 7 groups, the ninth bytes in the last.
void tfodl_widen_nines(const int8_t* from, int32_t pitch, uint32_t offset, uint32_t* to);
}

}  // namespace dsp
}  // namespace tfodl
#endif

#endif  // TFODL_DSP_WIDEN_DSP_H
