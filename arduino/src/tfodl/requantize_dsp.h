// From sums to int8 outputs and clip masks. Internal.
#pragma once
#include "dsp.h"

#if TFODL_DSP
#include "fixed_point.h"
#include "widen_dsp.h"

namespace tfodl {
namespace dsp {

constexpr int32_t kLargestDepth = 16384;  // products an output: |sum| < 2^30 with a bias below 2^29

// Shifts 1..20 to the right, and a bias that keeps the sum's double in 32 bits: the short requantisation.
inline bool fast_channel(const Conv& p, int32_t co) {
  return p.shift[co] < 0 && p.shift[co] >= -20 && magnitude(p.bias[co]) < (1u << 29);
}

// What turns the truncating shift into a rounding one and adds the zero point.
inline int32_t requantize_offset(const Conv& p, int32_t right_shift) {
  return (1 << (right_shift - 1)) + p.out_zero * (1 << right_shift);
}

// As the assembly does it, block_dsp.cpp; zero point included.
inline int32_t requantize_fast(int32_t sum, int32_t multiplier, int32_t right_shift, int32_t offset) {
  int32_t high;
  __asm("smmlar %0, %1, %2, %3" : "=r"(high) : "r"(sum << 1), "r"(multiplier), "r"(offset));
  return (high + (sum >> 31)) >> right_shift;
}

inline int8_t saturate_s8(int32_t v) {
  int32_t y;
  __asm("ssat %0, #8, %1" : "=r"(y) : "r"(v));
  return static_cast<int8_t>(y);
}

// Outputs of one channel, `stride` apart in the map and in the mask, from sums[0], sums[step], ...
struct ChannelOutput {
  const Conv& p;
  int32_t co;
  int8_t* y;      // of the first output's pixel
  uint8_t* mask;  // or null
  int32_t bit;    // of the first output's pixel

  void operator()(const int32_t* sums, int32_t step, int32_t n) const {
    if (!mask || !fast_channel(p, co)) return any(sums, step, n);
    if (p.act_min == p.out_zero) return masked<true>(sums, step, n);
    masked<false>(sums, step, n);
  }

 private:
  // Any shift and clamp.
  void any(const int32_t* sums, int32_t step, int32_t n) const {
    const Clip clip = {p.out_zero, p.act_min, p.act_max};
    const int32_t multiplier = p.multiplier[co], shift = p.shift[co], stride = p.out_c;
    for (int32_t i = 0, at = co; i < n; ++i, sums += step, at += stride) {
      y[at] = clip(*sums, requantize(*sums, multiplier, shift), mask, bit + at);
    }
  }

  // Saturates to int8 only, see clamp_outputs.
  template <bool kRelu>
  void masked(const int32_t* sums, int32_t step, int32_t n) const {
    const int32_t multiplier = p.multiplier[co], shift = -p.shift[co], offset = requantize_offset(p, shift);
    const int32_t stride = p.out_c, over = p.act_max + 1, under = p.act_min - 1;
    int8_t* to = y + co;
    for (int32_t i = 0, at = bit + co; i < n; ++i, sums += step, to += stride, at += stride) {
      const int32_t a = *sums, v = requantize_fast(a, multiplier, shift, offset);
      const uint32_t pass = static_cast<uint32_t>((v - over) & (kRelu ? -a : under - v)) >> 31;
      uint8_t* byte = mask + (at >> 3);
      *byte = static_cast<uint8_t>((*byte & ~(1u << (at & 7))) | (pass << (at & 7)));
      *to = saturate_s8(v);
    }
  }
};

// max(low, min(high, y)) of 4 int8, low <= high.
inline uint32_t clamp_four(uint32_t y, uint32_t low, uint32_t high) {
  uint32_t spare;
  __asm("ssub8 %1, %0, %2\n"
        "sel %0, %0, %2\n"
        "ssub8 %1, %3, %0\n"
        "sel %0, %0, %3"
        : "+r"(y), "=&r"(spare) : "r"(low), "r"(high) : "cc");
  return y;
}

// The layer's own clamp for n outputs that were saturated to int8.
inline void clamp_outputs(const Conv& p, int8_t* y, int32_t n) {
  if (p.act_min == -128 && p.act_max == 127) return;
  const uint32_t low = (uint32_t(p.act_min) & 0xFFu) * 0x01010101u;
  const uint32_t high = (uint32_t(p.act_max) & 0xFFu) * 0x01010101u;
  for (; n >= 4; n -= 4, y += 4) {
    const uint32_t four = clamp_four(load_word(y), low, high);
    memcpy(y, &four, 4);
  }
  for (; n > 0; --n, ++y) *y = static_cast<int8_t>(clamp_s32(*y, p.act_min, p.act_max));
}

}  // namespace dsp
}  // namespace tfodl
#endif
