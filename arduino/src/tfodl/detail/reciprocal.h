// 1 / (1 + a) in fixed point, as gemmlowp takes it. Internal.
#ifndef TFODL_DETAIL_RECIPROCAL_H
#define TFODL_DETAIL_RECIPROCAL_H
#include "tfodl/detail/fixed_point.h"

namespace tfodl {

// x * 2^bits, saturated.
inline int32_t saturating_left(int32_t x, int32_t bits) {
  const int64_t wide = static_cast<int64_t>(x) * (1 << bits);
  return static_cast<int32_t>(clamp_s64(wide, INT32_MIN, INT32_MAX));
}

// 1 / (1 + a), a and the result in Q0.31: three Newton steps.
inline int32_t one_over_one_plus(int32_t a) {
  const int32_t half_denominator = static_cast<int32_t>((static_cast<int64_t>(a) + INT32_MAX + 1) >> 1);
  int32_t x = 1515870810 + doubling_high_multiply(half_denominator, -1010580540);  // 48/17 - 32/17 d, Q2.29
  for (int32_t i = 0; i < 3; ++i) {
    const int32_t rest = (1 << 29) - doubling_high_multiply(half_denominator, x);
    x += saturating_left(doubling_high_multiply(x, rest), 2);
  }
  return saturating_left(x, 1);
}

}  // namespace tfodl

#endif  // TFODL_DETAIL_RECIPROCAL_H
