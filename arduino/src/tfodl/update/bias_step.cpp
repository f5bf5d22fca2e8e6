#include "tfodl/dsp/hot_dsp.h"
#include "tfodl/detail/update_step.h"

namespace tfodl {

// The arithmetic of step_units and Stepper::bias for a rate that is a positive, normal number. Of the exact gradient
// times the mantissa only what a sum is moved up before, or the product down behind, differs from one to the next.
int32_t step_biases(int32_t* bias, int32_t n, const int32_t* sums, const float* scale, float learning_rate,
                    int32_t exponent, uint32_t number) {
  for (int32_t i = 0; i < n; ++i) {
    const float rate = learning_rate * scale[i];
    uint32_t bits;
    memcpy(&bits, &rate, sizeof bits);
    const int32_t sum = sums[i], b = bias[i], shift = static_cast<int32_t>(bits >> 23) + exponent - 134;
    const int32_t length = 32 - __builtin_clz(magnitude(sum) | 1);
    if (bits - 0x800000u >= 0x7f000000u || magnitude(b) > 1u << 30 || shift < -63 || length + shift > 21) return i;
    const int32_t mantissa = static_cast<int32_t>((bits & 0x7fffff) | 0x800000), up = shift > 0 ? shift : 0;
    const int64_t minus_u = (int64_t{sum * (1 << up)} * mantissa) >> (up - shift);
    const int64_t moved = (random_bits(number + static_cast<uint32_t>(i)) - minus_u) >> 16;
    bias[i] = clamp_s32(b + static_cast<int32_t>(moved), -(1 << 30), 1 << 30);
  }
  return n;
}

}  // namespace tfodl
