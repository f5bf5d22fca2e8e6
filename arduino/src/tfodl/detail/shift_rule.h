// The shift rule of docs/arithmetic.md: int32 sums become int16 gradients. Internal.
#ifndef TFODL_DETAIL_SHIFT_RULE_H
#define TFODL_DETAIL_SHIFT_RULE_H
#include "tfodl/detail/fixed_point.h"
#include "tfodl/types.h"

namespace tfodl {

constexpr int32_t kFewestBits = 11, kBits = 13, kMostBits = 15;  // of the largest gradient

// Whether sums of n bits keep enough of them, and fit int16, when they are moved right by `shift`.
inline bool shift_fits(int32_t n, int32_t shift) {
  return n - shift <= kMostBits && (n - shift >= kFewestBits || shift == 0 || n == 0);
}
inline int32_t fitting_shift(int32_t n) { return n > kBits ? n - kBits : 0; }

// `pass(shift)` writes all gradients with that shift and returns the OR of all |sums|, which has as many bits
// as their maximum. False: they did not fit or lost too much, and have to be made again, with what is in `s` now.
template <class Pass>
bool try_shift(GradScale& s, int32_t e_acc, Pass pass) {
  const int32_t shift = s.shift, n = bit_length(pass(shift));
  const bool fits = shift_fits(n, shift);
  s.exponent = static_cast<int16_t>(e_acc + shift);
  s.shift = static_cast<int8_t>(!fits || n - shift == kMostBits ? fitting_shift(n) : shift);
  return fits;
}
template <class Pass>
void apply_shift_rule(GradScale& s, int32_t e_acc, Pass pass) {
  if (!try_shift(s, e_acc, pass)) try_shift(s, e_acc, pass);
}

// The same for sums that cost little and may be computed twice: out may overlap what `sum(i)` reads at i.
template <class Sum>
void narrow_elements(GradScale& s, int32_t e_acc, int32_t n, int16_t* out, Sum sum) {
  uint32_t bits = 0;
  for (int32_t i = 0; i < n; ++i) bits |= magnitude(sum(i));
  apply_shift_rule(s, e_acc, [=](int32_t shift) {
    if (!shift_fits(bit_length(bits), shift)) return bits;
    for (int32_t i = 0; i < n; ++i) out[i] = saturate_s16(rshift(sum(i), shift));
    return bits;
  });
}

}  // namespace tfodl

#endif  // TFODL_DETAIL_SHIFT_RULE_H
