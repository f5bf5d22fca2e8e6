#include "tfodl/detail/fixed_point.h"
#include "tfodl/forward.h"

namespace tfodl {
namespace {

constexpr int32_t kSumIntegerBits = 12;  // of the sum of exponentials, Q12.19

// x * 2^bits, saturated.
int32_t saturating_left(int32_t x, int32_t bits) {
  const int64_t wide = static_cast<int64_t>(x) * (1 << bits);
  return static_cast<int32_t>(clamp_s64(wide, INT32_MIN, INT32_MAX));
}

// 1 / (1 + a), a and the result in Q0.31: three Newton steps, as gemmlowp takes them.
int32_t one_over_one_plus(int32_t a) {
  const int32_t half_denominator = static_cast<int32_t>((static_cast<int64_t>(a) + INT32_MAX + 1) >> 1);
  int32_t x = 1515870810 + doubling_high_multiply(half_denominator, -1010580540);  // 48/17 - 32/17 d, Q2.29
  for (int32_t i = 0; i < 3; ++i) {
    const int32_t rest = (1 << 29) - doubling_high_multiply(half_denominator, x);
    x += saturating_left(doubling_high_multiply(x, rest), 2);
  }
  return saturating_left(x, 1);
}

void softmax_row(const int32_t* table, const int8_t* x, int32_t n, int8_t* y) {
  int32_t top = -128;
  for (int32_t i = 0; i < n; ++i) top = x[i] > top ? x[i] : top;
  int32_t sum = 0;
  for (int32_t i = 0; i < n; ++i) sum += divide_by_power(table[top - x[i]], kSumIntegerBits);
  const int32_t headroom = 32 - bit_length(static_cast<uint32_t>(sum));
  const uint32_t fraction = (static_cast<uint32_t>(sum) << headroom) - (uint32_t{1} << 31);
  const int32_t scale = one_over_one_plus(static_cast<int32_t>(fraction));
  const int32_t shift = kSumIntegerBits - headroom + 31 - 8;
  for (int32_t i = 0; i < n; ++i) {
    const int32_t p = divide_by_power(doubling_high_multiply(scale, table[top - x[i]]), shift) - 128;
    y[i] = static_cast<int8_t>(clamp_s32(p, -128, 127));
  }
}

}  // namespace

void softmax_s8(const int32_t* table, const int8_t* x, int32_t rows, int32_t n, int8_t* y) {
  for (int32_t i = 0; i < rows; ++i) softmax_row(table, x + i * n, n, y + i * n);
}

}  // namespace tfodl
