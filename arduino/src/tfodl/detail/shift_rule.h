// The shift rule of docs/arithmetic.md: int32 sums become int16 gradients. Internal.
#pragma once
#include "tfodl/detail/fixed_point.h"
#include "tfodl/types.h"

namespace tfodl {

// `pass(shift)` writes all gradients with that shift and returns the OR of all |sums|, which has as many bits
// as their maximum. It runs a second time when they did not fit.
template <class Pass>
void apply_shift_rule(GradScale& s, int32_t e_acc, Pass pass) {
  int32_t shift = s.shift;
  const int32_t n = bit_length(pass(shift));
  if (n - shift > 15) {
    shift = n - 14;
    pass(shift);
  }
  s.exponent = static_cast<int16_t>(e_acc + shift);
  if (n > 0 && (n - shift < 12 || n - shift > 14)) shift = n > 14 ? n - 14 : 0;
  s.shift = static_cast<int8_t>(shift);
}

// The same for sums that cost little and may be computed twice: out may overlap what `sum(i)` reads at i.
template <class Sum>
void narrow_elements(GradScale& s, int32_t e_acc, int32_t n, int16_t* out, Sum sum) {
  uint32_t bits = 0;
  for (int32_t i = 0; i < n; ++i) bits |= magnitude(sum(i));
  apply_shift_rule(s, e_acc, [=](int32_t shift) {
    if (bit_length(bits) - shift > 15) return bits;
    for (int32_t i = 0; i < n; ++i) out[i] = saturate_s16(rshift(sum(i), shift));
    return bits;
  });
}

}  // namespace tfodl
