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

// Where the clamp takes all that is negative, sums below 0 may round either way, and one division is left. With k
// more bits in the weights and the bias, s the shift to the right, z the zero point:
//   y = floor((2^k sum * multiplier + 2^32 (2^(k-2) + 2^(s+k-2) + z 2^(s+k-1))) / 2^(32+s+k-1))
constexpr int32_t kReluBits = 8;  // k: int8 weights become the upper bytes

// Sums of `products` terms: none leaves int32.
inline bool relu_channel(const Conv& p, int32_t co, int32_t products) {
  return p.act_min >= p.out_zero && p.shift[co] < 0 && p.shift[co] >= -16 && products < 256 &&
         magnitude(p.bias[co]) < (1u << 23) - static_cast<uint32_t>(products) * (127 * 255);
}

// The last shift, and what is added to the upper half of the product before it.
inline int32_t relu_shift(const Conv& p, int32_t co) { return -p.shift[co] + kReluBits - 1; }
inline int32_t relu_offset(const Conv& p, int32_t last_shift) {
  return (1 << (kReluBits - 2)) + (1 << (last_shift - 1)) + p.out_zero * (1 << last_shift);
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

// Where sums lie: `rows` rows of n, kStep apart within a row, `pitch` from row to row; the outputs are in one piece.
struct Sums {
  const int32_t* data;
  int32_t n, rows, pitch;
};

// The outputs of channel co from its sums; `y` and `bit` are of the first output's pixel.
struct ChannelOutput {
  const Conv& p;
  int32_t co;
  int8_t* y;
  uint8_t* mask;  // or null
  int32_t bit;

  void store_one(int32_t a) const {
    if (mask || !fast_channel(p, co)) return any<1>(&a, 1, co);
    const int32_t shift = -p.shift[co];
    y[co] = saturate_s8(requantize_fast(a, p.multiplier[co], shift, requantize_offset(p, shift)));
  }

  template <int kStep>
  void store(const Sums& sums) const {
    const bool relu = p.act_min == p.out_zero;
    for (int32_t r = 0; r < sums.rows; ++r) {
      const int32_t at = r * sums.n * p.out_c + co;
      const int32_t* row = sums.data + r * sums.pitch;
      if (!mask || !fast_channel(p, co)) any<kStep>(row, sums.n, at);
      else if (p.out_c % 8) relu ? masked<kStep, true>(row, sums.n, at) : masked<kStep, false>(row, sums.n, at);
      else relu ? in_bytes<kStep, true>(row, sums.n, at) : in_bytes<kStep, false>(row, sums.n, at);
    }
  }

 private:
  // Any shift and clamp.
  template <int kStep>
  void any(const int32_t* sums, int32_t n, int32_t at) const {
    const Clip clip = {p.out_zero, p.act_min, p.act_max};
    const int32_t multiplier = p.multiplier[co], shift = p.shift[co], stride = p.out_c;
    for (int32_t i = 0; i < n; ++i, sums += kStep, at += stride) {
      y[at] = clip(*sums, requantize(*sums, multiplier, shift), mask, bit + at);
    }
  }

  // What a row needs to requantise. The sign of `passes` says whether a gradient passes.
  template <bool kRelu>
  struct Row {
    int32_t multiplier, shift, offset, over, under;
    explicit Row(const Conv& p, int32_t co)
        : multiplier(p.multiplier[co]), shift(-p.shift[co]), offset(requantize_offset(p, shift)),
          over(p.act_max + 1), under(p.act_min - 1) {}
    int32_t value(int32_t a) const { return requantize_fast(a, multiplier, shift, offset); }
    int32_t passes(int32_t a, int32_t v) const { return (v - over) & (kRelu ? -a : under - v); }
  };

  // These two saturate to int8 only, see clamp_outputs.
  template <int kStep, bool kRelu>
  void masked(const int32_t* sums, int32_t n, int32_t at) const {
    const Row<kRelu> row(p, co);
    for (int32_t i = 0; i < n; ++i, sums += kStep, at += p.out_c) {
      const int32_t v = row.value(*sums);
      put_bit(mask, bit + at, row.passes(*sums, v) < 0);
      y[at] = saturate_s8(v);
    }
  }

  // Whole bytes of the mask from pixel to pixel.
  template <int kStep, bool kRelu>
  void in_bytes(const int32_t* sums, int32_t n, int32_t at) const {
    const Row<kRelu> row(p, co);
    const int32_t stride = p.out_c, set = 1 << ((bit + at) & 7);
    uint8_t* byte = mask + ((bit + at) >> 3);
    int8_t* to = y + at;
    for (int32_t i = 0; i < n; ++i, sums += kStep, to += stride, byte += stride >> 3) {
      const int32_t a = *sums, v = row.value(a);
      *byte = static_cast<uint8_t>((*byte & ~set) | (set & (row.passes(a, v) >> 31)));
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
