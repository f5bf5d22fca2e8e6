// When the assembly's requantisation may stand for the general one, and its constants. Internal.
#pragma once
#include "dsp.h"

#if TFODL_DSP
#include "fixed_point.h"

namespace tfodl {
namespace dsp {

constexpr int32_t kLargestDepth = 16384;  // products an output: |sum| < 2^30 with a bias below 2^29

inline bool clamps_to_int8(const Conv& p) { return p.act_min == -128 && p.act_max == 127; }

// Shifts 1..20 to the right, and a bias that keeps the sum's double in 32 bits.
inline bool fast_channel(const Conv& p, int32_t co) {
  return p.shift[co] < 0 && p.shift[co] >= -20 && magnitude(p.bias[co]) < (1u << 29);
}

// What turns the truncating shift into a rounding one and adds the zero point.
inline int32_t requantize_offset(const Conv& p, int32_t right_shift) {
  return (1 << (right_shift - 1)) + p.out_zero * (1 << right_shift);
}

// One channel's outputs from sums[0], sums[step], ...: any shift and clamp, and the clip mask.
struct ChannelOutput {
  int32_t multiplier, shift;
  Clip clip;
  int8_t* y;
  int32_t stride;  // from output to output, also in the mask
  uint8_t* mask;
  int32_t bit;

  ChannelOutput(const Conv& p, int32_t co, int8_t* first, uint8_t* mask_or_null, int32_t first_bit)
      : multiplier(p.multiplier[co]), shift(p.shift[co]), clip{p.out_zero, p.act_min, p.act_max},
        y(first + co), stride(p.out_c), mask(mask_or_null), bit(first_bit + co) {}

  void operator()(const int32_t* sums, int32_t step, int32_t n) const {
    int8_t* to = y;
    for (int32_t i = 0, at = bit; i < n; ++i, sums += step, to += stride, at += stride) {
      *to = clip(*sums, requantize(*sums, multiplier, shift), mask, at);
    }
  }
};

}  // namespace dsp
}  // namespace tfodl
#endif
