// Prepared gradients, docs/arithmetic.md. Internal.
#pragma once
#include "dsp.h"

#if TFODL_DSP
#include "fixed_point.h"

namespace tfodl {
namespace dsp {

// rshift(g * scale, 15 + headroom); the product is below 2^30.
struct Prepare {
  int32_t shift, half;
  explicit Prepare(const ConvGrad& q) : shift(15 + q.headroom), half(1 << (14 + q.headroom)) {}
  int32_t operator()(int32_t g, int32_t scale) const { return (g * scale + half) >> shift; }
};

// Bits i .. i + 3 of a mask that has them; null: all set.
inline uint32_t four_bits(const uint8_t* mask, int32_t i) {
  if (!mask) return 15;
  const uint8_t* at = mask + (i >> 3);
  const int32_t from = i & 7;
  const uint32_t low = uint32_t(at[0]) >> from;
  return from > 4 ? low | uint32_t(at[1]) << (8 - from) : low;
}

// -1 where bit k is set, else 0.
inline int32_t all_or_nothing(uint32_t bits, int32_t k) { return -static_cast<int32_t>((bits >> k) & 1u); }

}  // namespace dsp
}  // namespace tfodl
#endif
