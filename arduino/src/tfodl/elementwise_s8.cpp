#include "hot.h"
#include "fixed_point.h"
#include "forward.h"

namespace tfodl {
namespace {

constexpr int32_t kLeftShift = 20;  // TensorFlow Lite's, for ADD and SUB

int32_t scaled(int32_t x, int32_t multiplier, int32_t shift) {
  return divide_by_power(doubling_high_multiply(x * (1 << kLeftShift), multiplier), -shift);
}

// sign: 1 for ADD, -1 for SUB.
template <int kSign>
void add_or_sub(const Add& add, const int8_t* a, const int8_t* b, int32_t first, int32_t n, int8_t* y,
                uint8_t* mask) {
  const Add p = add;
  const Clip clip = {p.out_zero, p.act_min, p.act_max};
  for (int32_t i = 0; i < n; ++i) {
    const int32_t sum = scaled(a[i] - p.a_zero, p.a_multiplier, p.a_shift) +
                        kSign * scaled(b[i] - p.b_zero, p.b_multiplier, p.b_shift);
    const int32_t v = divide_by_power(doubling_high_multiply(sum, p.out_multiplier), -p.out_shift);
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
