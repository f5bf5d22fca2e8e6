#include "tfodl/detail/fixed_point.h"
#include "tfodl/detail/reciprocal.h"
#include "tfodl/forward.h"

namespace tfodl {
namespace {

constexpr int32_t kSumIntegerBits = 12;  // of the sum of exponentials, Q12.19

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
