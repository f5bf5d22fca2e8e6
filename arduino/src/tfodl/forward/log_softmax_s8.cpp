#include "tfodl/detail/fixed_point.h"
#include "tfodl/detail/reciprocal.h"
#include "tfodl/forward.h"

namespace tfodl {
namespace {

constexpr int32_t kSumIntegerBits = 12;  // of the sum of exponentials, Q12.19
constexpr int32_t kSqrtHalf = 1518500250, kFourthRootHalf = 1805811301, kLog2 = 1488522236;  // Q0.31

// log x of x >= 1 in Q12.19; Q5.26. TensorFlow Lite's: x = r 2^power, r around 2^(-1/4), a rational function of r.
int32_t log_of_sum(int32_t x) {
  const int32_t zeros = 32 - bit_length(static_cast<uint32_t>(x));
  const int32_t r_a = saturating_left(doubling_high_multiply(saturating_left(x, zeros - 1), kSqrtHalf), 1);
  const int32_t headroom = 31 - bit_length(static_cast<uint32_t>(doubling_high_multiply(x, kSqrtHalf)));
  const int32_t r_b = saturating_left(x, headroom);
  const int32_t r = r_a < r_b ? r_a : r_b;
  const int32_t quarter = 1 << 23;  // Q6.25
  const int32_t power_a = (kSumIntegerBits - zeros) * (1 << 25) + quarter;
  const int32_t power_b = (kSumIntegerBits - headroom) * (1 << 25) - quarter;
  const int32_t power = power_a > power_b ? power_a : power_b;
  const int64_t sum = static_cast<int64_t>(r) + kFourthRootHalf;
  const int32_t p = static_cast<int32_t>((sum + 1) >> 1), q = 2 * (r - kFourthRootHalf);
  const int32_t square = doubling_high_multiply(q, q);
  const int32_t numerator =
      doubling_high_multiply(q, r) + doubling_high_multiply(doubling_high_multiply(q, square), 117049297);
  const int32_t factor = 1057819769 + q + doubling_high_multiply(127690142, square);
  const int32_t denominator = doubling_high_multiply(p, factor) + doubling_high_multiply(638450708, q);
  const int32_t fraction = doubling_high_multiply(divide_by_power(numerator, 6), one_over_one_plus(denominator));
  return saturating_left(doubling_high_multiply(power, kLog2) + fraction, 1);
}

void log_softmax_row(const int32_t* exps, const int32_t* arguments, const int8_t* x, int32_t n, int8_t* y) {
  int32_t top = -128, sum = 0;
  for (int32_t i = 0; i < n; ++i) top = x[i] > top ? x[i] : top;
  for (int32_t i = 0; i < n; ++i) sum += divide_by_power(exps[top - x[i]], kSumIntegerBits);
  const int32_t log_sum = log_of_sum(sum);
  for (int32_t i = 0; i < n; ++i) {
    const int32_t v = divide_by_power(arguments[top - x[i]] - log_sum, 22) + 127;
    y[i] = static_cast<int8_t>(clamp_s32(v, -128, 127));
  }
}

}  // namespace

void log_softmax_s8(const int32_t* exps, const int32_t* arguments, const int8_t* x, int32_t rows, int32_t n,
                    int8_t* y) {
  for (int32_t i = 0; i < rows; ++i) log_softmax_row(exps, arguments, x + i * n, n, y + i * n);
}

}  // namespace tfodl
