#include "tfodl/detail/fixed_point.h"
#include "tfodl/gradient.h"

namespace tfodl {
namespace {

constexpr int32_t kProbabilityBits = 30;

}  // namespace

bool softmax_cross_entropy_s8(const uint32_t* table, const int8_t* q, int32_t n, int32_t label, int16_t* g,
                              GradScale& s, uint32_t* p_label) {
  int32_t top = q[0];
  for (int32_t i = 1; i < n; ++i) top = q[i] > top ? q[i] : top;
  uint64_t total = 0;
  for (int32_t i = 0; i < n; ++i) total += table[top - q[i]];
  const auto probability = [&](int32_t i) {
    return static_cast<uint32_t>(((static_cast<uint64_t>(table[top - q[i]]) << kProbabilityBits) + total / 2) / total);
  };
  uint32_t others = 0;  // |g| of the label, the largest of all
  for (int32_t i = 0; i < n; ++i) others += i == label ? 0 : probability(i);
  const int32_t bits = bit_length(others), shift = bits > 14 ? bits - 14 : 0;
  for (int32_t i = 0; i < n; ++i) {
    const int32_t value = i == label ? -static_cast<int32_t>(others) : static_cast<int32_t>(probability(i));
    g[i] = saturate_s16(rshift(value, shift));
  }
  s.exponent = static_cast<int16_t>(shift - kProbabilityBits);
  if (p_label) *p_label = probability(label);
  return others != 0;
}

bool mean_squared_error_s8(int16_t factor, int16_t exponent, const int8_t* q, const int8_t* t, int32_t n,
                           int16_t* g, GradScale& s, uint32_t* sum_squares) {
  uint32_t squares = 0;
  for (int32_t i = 0; i < n; ++i) {
    const int32_t difference = q[i] - t[i];
    squares += static_cast<uint32_t>(difference * difference);
    g[i] = saturate_s16(rshift(2 * difference * 64 * factor, 15));
  }
  s.exponent = static_cast<int16_t>(exponent - 6);
  if (sum_squares) *sum_squares = squares;
  return squares != 0;
}

}  // namespace tfodl
