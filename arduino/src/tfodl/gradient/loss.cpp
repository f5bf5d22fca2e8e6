#include "tfodl/detail/no_fma.h"
#include "tfodl/detail/fixed_point.h"
#include "tfodl/gradient.h"
#include "tfodl/support.h"

namespace tfodl {
namespace {

constexpr int32_t kProbabilityBits = 30;

struct Fine {
  static constexpr int32_t bits() { return 6; }
};

struct Coarse {
  int32_t n;
  int32_t bits() const { return n; }
};

// 2^bits times the difference of an output and its input, in LSB of the output.
template <class Fraction>
inline int32_t difference(const Reconstruction& p, const Fraction f, int32_t q, int32_t x) {
  return saturate_s16((q - p.y_zero) * (1 << f.bits()) - rshift((x - p.x_zero) * p.ratio, p.shift));
}

template <class Fraction>
inline bool error(const Reconstruction& p, const Fraction f, const int8_t* q, const int8_t* x, int32_t n, int16_t* g,
                  GradScale& s, uint64_t* squares) {
  uint64_t total = 0;
  for (int32_t i = 0; i < n; ++i) {
    const int32_t d = difference(p, f, q[i], x[i]);
    total += static_cast<uint32_t>(d * d);
    g[i] = saturate_s16(rshift(2 * d * p.factor, 15));
  }
  s.exponent = static_cast<int16_t>(p.exponent - f.bits());
  if (squares) *squares = total;
  return total != 0;
}


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

bool binary_cross_entropy_s8(const uint32_t* table, uint32_t one, int16_t exponent, const int8_t* q, const int8_t* t,
                             int32_t n, int16_t* g, GradScale& s, float* loss) {
  uint32_t largest = 0;
  float total = 0.0f;
  for (int32_t i = 0; i < n; ++i) {
    const uint32_t p = table[q[i] + 128], wrong = t[i] ? one - p : p;  // |g|
    largest = wrong > largest ? wrong : largest;
    if (loss) total += cross_entropy(one - wrong);
  }
  const int32_t bits = bit_length(largest), shift = bits > 14 ? bits - 14 : 0;
  for (int32_t i = 0; i < n; ++i) {
    const int32_t p = static_cast<int32_t>(table[q[i] + 128]);
    g[i] = saturate_s16(rshift(t[i] ? p - static_cast<int32_t>(one) : p, shift));
  }
  s.exponent = static_cast<int16_t>(exponent + shift - kProbabilityBits);
  if (loss) *loss = total / static_cast<float>(n) - cross_entropy(one);
  return largest != 0;
}

bool reconstruction_error_s8(const Reconstruction& p, const int8_t* q, const int8_t* x, int32_t n, int16_t* g,
                             GradScale& s, uint64_t* squares) {
  return error(p, Fine(), q, x, n, g, s, squares);
}

bool reconstruction_error_coarse_s8(const Reconstruction& p, int32_t bits, const int8_t* q, const int8_t* x, int32_t n,
                                    int16_t* g, GradScale& s, uint64_t* squares) {
  return error(p, Coarse{bits}, q, x, n, g, s, squares);
}

uint64_t reconstruction_squares_s8(const Reconstruction& p, const int8_t* q, const int8_t* x, int32_t n) {
  uint64_t total = 0;
  for (int32_t i = 0; i < n; ++i) {
    const int32_t d = difference(p, Fine(), q[i], x[i]);
    total += static_cast<uint32_t>(d * d);
  }
  return total;
}

uint64_t reconstruction_squares_coarse_s8(const Reconstruction& p, int32_t bits, const int8_t* q, const int8_t* x,
                                          int32_t n) {
  uint64_t total = 0;
  for (int32_t i = 0; i < n; ++i) {
    const int32_t d = difference(p, Coarse{bits}, q[i], x[i]);
    total += static_cast<uint32_t>(d * d);
  }
  return total;
}

}  // namespace tfodl
