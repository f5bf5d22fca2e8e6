#include "hot.h"
#include "fixed_point.h"
#include "forward.h"

namespace tfodl {
namespace {

constexpr int32_t kLeftShift = 20;  // TensorFlow Lite's, for ADD and SUB

// Right shift by `e`, ties away from zero, with what does not change in a loop worked out before it.
struct Divide {
  int32_t e, half, sign_bits;
  explicit Divide(int32_t power) : e(power), half(power > 0 ? 1 << (power - 1) : 0), sign_bits(power > 0 ? 31 : 0) {}
  // |x| < 2^30
  int32_t operator()(int32_t x) const { return (x + half + (sign_bits ? x >> 31 : 0)) >> e; }
};

// sign: 1 for ADD, -1 for SUB.
template <int kSign>
void add_or_sub(const Add& add, const int8_t* a, const int8_t* b, int32_t first, int32_t n, int8_t* y,
                uint8_t* mask) {
  const Add p = add;
  const Clip clip = {p.out_zero, p.act_min, p.act_max};
  const Divide divide_a(-p.a_shift), divide_b(-p.b_shift), divide_out(-p.out_shift);
  for (int32_t i = 0; i < n; ++i) {
    const int32_t scaled_a = doubling_high_multiply_small((a[i] - p.a_zero) * (1 << kLeftShift), p.a_multiplier);
    const int32_t scaled_b = doubling_high_multiply_small((b[i] - p.b_zero) * (1 << kLeftShift), p.b_multiplier);
    const int32_t sum = divide_a(scaled_a) + kSign * divide_b(scaled_b);
    const int32_t v = divide_out(doubling_high_multiply_small(sum, p.out_multiplier));
    y[i] = clip(sum, v, mask, first + i);
  }
}

}  // namespace

void add_s8(const Add& p, const int8_t* a, const int8_t* b, int32_t n, int8_t* y, uint8_t* mask) {
  add_or_sub<1>(p, a, b, 0, n, y, mask);
}

void add_range_s8(const Add& p, const int8_t* a, const int8_t* b, int32_t first, int32_t n, int8_t* y,
                  uint8_t* mask) {
  add_or_sub<1>(p, a, b, first, n, y, mask);
}

void sub_s8(const Add& p, const int8_t* a, const int8_t* b, int32_t n, int8_t* y, uint8_t* mask) {
  add_or_sub<-1>(p, a, b, 0, n, y, mask);
}

void mul_s8(const Requantize& requant, const int8_t* a, const int8_t* b, int32_t n, int8_t* y, uint8_t* mask) {
  const Requantize p = requant;
  const Clip clip = {p.out_zero, p.act_min, p.act_max};
  for (int32_t i = 0; i < n; ++i) {
    const int32_t product = (a[i] - p.in_zero) * (b[i] - p.b_zero);
    y[i] = clip(product, requantize(product, p.multiplier, p.shift), mask, i);
  }
}

void requantize_s8(const Requantize& requant, const int8_t* x, int32_t n, int8_t* y, uint8_t* mask) {
  const Requantize p = requant;
  const Clip clip = {p.out_zero, p.act_min, p.act_max};
  for (int32_t i = 0; i < n; ++i) {
    const int32_t a = x[i] - p.in_zero;
    y[i] = clip(a, requantize(a, p.multiplier, p.shift), mask, i);
  }
}

void lookup_s8(const int8_t* table, const int8_t* x, int32_t n, int8_t* y) {
  for (int32_t i = 0; i < n; ++i) y[i] = table[x[i] + 128];
}

}  // namespace tfodl
