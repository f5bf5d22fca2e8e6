#include "tfodl/detail/hot.h"
#include "tfodl/gradient.h"
#include "tfodl/detail/shift_rule.h"

namespace tfodl {
namespace {

// Bits that sums of `count` terms of `term_bits` bits are moved right by to stay in int32.
int32_t headroom(int32_t count, int32_t term_bits) {
  int32_t bits = 0;
  while ((int64_t{1} << (31 - term_bits + bits)) < count) ++bits;
  return bits;
}

// g 2^by with one rounding, |g| < 2^15, by <= 15.
struct Move {
  int32_t left, right, half;
  explicit Move(int32_t by)
      : left(by > 0 ? by : 0), right(by >= 0 ? 0 : by < -31 ? 31 : -by), half(right > 0 ? 1 << (right - 1) : 0) {}
  int32_t operator()(int32_t g) const { return (g * (1 << left) + half) >> right; }
};

// The sum of `term(i)` over the elements i < n that read element j, less `bits` bits.
template <class Term>
int32_t sum_over(const Spread& s, int32_t j, int32_t n, int32_t bits, Term term) {
  int64_t sum = 0;
  for (int32_t start = j * s.repeat; start < n; start += s.size * s.repeat) {
    for (int32_t i = start; i < start + s.repeat; ++i) sum += term(i);
  }
  return static_cast<int32_t>(rshift_s64(sum, bits));
}

}  // namespace

void add_grads_s16(const int16_t* a, int16_t e_a, const int16_t* b, int16_t e_b, int32_t n, int16_t* out,
                   GradScale& s) {
  const int32_t low = e_a < e_b ? e_a : e_b, high = e_a < e_b ? e_b : e_a;
  const int32_t base = low > high - 15 ? low : high - 15;
  const Move move_a(e_a - base), move_b(e_b - base);
  narrow_elements(s, base, n, out, [=](int32_t i) { return move_a(a[i]) + move_b(b[i]); });
}

void mask_grad_s16(const int16_t* g, const uint8_t* mask, int32_t n, int16_t* out) {
  for (int32_t i = 0; i < n; ++i) out[i] = !mask || get_bit(mask, i) ? g[i] : int16_t{0};
}

void negate_grad_s16(const int16_t* g, const uint8_t* mask, int32_t n, int16_t* out) {
  for (int32_t i = 0; i < n; ++i) out[i] = !mask || get_bit(mask, i) ? static_cast<int16_t>(-g[i]) : int16_t{0};
}

void mul_input_grad_s16(int16_t factor, int16_t exponent, int16_t b_zero, const int8_t* b, const int16_t* g_y,
                        int16_t e_y, const uint8_t* mask, int32_t n, int16_t* g_x, GradScale& s) {
  narrow_elements(s, e_y + exponent, n, g_x, [=](int32_t i) {
    return !mask || get_bit(mask, i) ? rshift(g_y[i] * factor, 15) * (b[i] - b_zero) : 0;
  });
}

void mul_broadcast_input_grad_s16(int16_t factor, int16_t exponent, int16_t b_zero, const int8_t* b,
                                  const Spread& b_spread, const int16_t* g_y, int16_t e_y, const uint8_t* mask,
                                  int32_t n, const Spread& x_spread, int16_t* g_x, GradScale& s) {
  const Spread over_b = b_spread, over_x = x_spread;
  const int32_t bits = headroom(n / over_x.size, 23);
  const auto term = [=](int32_t i) {
    if (mask && !get_bit(mask, i)) return int32_t{0};
    const int32_t partner = over_b.size == n ? b[i] : b[i / over_b.repeat % over_b.size];
    return rshift(g_y[i] * factor, 15) * (partner - b_zero);
  };
  narrow_elements(s, e_y + exponent + bits, over_x.size, g_x,
                  [=](int32_t j) { return sum_over(over_x, j, n, bits, term); });
}

void sum_grad_s16(int32_t sign, const int16_t* g_y, int16_t e_y, const uint8_t* mask, int32_t n,
                  const Spread& spread, int16_t* g_x, GradScale& s) {
  const Spread over = spread;
  const int32_t bits = headroom(n / over.size, 15);
  const auto term = [=](int32_t i) { return !mask || get_bit(mask, i) ? sign * g_y[i] : 0; };
  narrow_elements(s, e_y + bits, over.size, g_x, [=](int32_t j) { return sum_over(over, j, n, bits, term); });
}

void extremum_input_grad_s16(int32_t sign, int32_t limit, const int8_t* x, const Spread& x_spread, const int8_t* b,
                             const Spread& b_spread, const int16_t* g_y, int16_t e_y, int32_t n, int16_t* g_x,
                             GradScale& s) {
  const Spread over_x = x_spread, over_b = b_spread;
  const int32_t bits = headroom(n / over_x.size, 15);
  narrow_elements(s, e_y + bits, over_x.size, g_x, [=](int32_t j) {
    return sum_over(over_x, j, n, bits, [=](int32_t i) {
      return sign * (x[j] - b[i / over_b.repeat % over_b.size]) < limit ? int32_t{g_y[i]} : 0;
    });
  });
}

void lookup_input_grad_s16(const int16_t* slope, const int8_t* x, const int16_t* g_y, int16_t e_y, int32_t n,
                           int16_t* g_x, GradScale& s) {
  narrow_elements(s, e_y - 13, n, g_x, [=](int32_t i) { return g_y[i] * slope[x[i] + 128]; });
}

void prelu_input_grad_s16(const int16_t* slope, const Spread& slope_spread, int16_t x_zero, const int8_t* x,
                          const int16_t* g_y, int16_t e_y, const uint8_t* mask, int32_t n, int16_t* g_x, GradScale& s) {
  const Spread over = slope_spread;
  narrow_elements(s, e_y - 13, n, g_x, [=](int32_t i) {
    if (mask && !get_bit(mask, i)) return int32_t{0};
    return g_y[i] * (x[i] >= x_zero ? 1 << 13 : int32_t{slope[i / over.repeat % over.size]});
  });
}

void logistic_input_grad_s16(const int8_t* y, const int16_t* g_y, int16_t e_y, int32_t n, int16_t* g_x,
                             GradScale& s) {
  narrow_elements(s, e_y - 16, n, g_x, [=](int32_t i) { return g_y[i] * ((y[i] + 128) * (128 - y[i])); });
}

}  // namespace tfodl
