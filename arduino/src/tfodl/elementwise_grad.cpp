#include "hot.h"
#include "gradient.h"
#include "shift_rule.h"

namespace tfodl {

void add_grads_s16(const int16_t* a, int16_t e_a, const int16_t* b, int16_t e_b, int32_t n, int16_t* out,
                   GradScale& s) {
  const int32_t low = e_a < e_b ? e_a : e_b, high = e_a < e_b ? e_b : e_a;
  const int32_t base = low > high - 15 ? low : high - 15;
  const auto moved = [](int32_t g, int32_t by) {
    return by >= 0 ? g * (1 << by) : rshift(g, by < -31 ? 31 : -by);
  };
  narrow_elements(s, base, n, out, [=](int32_t i) { return moved(a[i], e_a - base) + moved(b[i], e_b - base); });
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

void logistic_input_grad_s16(const int8_t* y, const int16_t* g_y, int16_t e_y, int32_t n, int16_t* g_x,
                             GradScale& s) {
  narrow_elements(s, e_y - 16, n, g_x, [=](int32_t i) { return g_y[i] * ((y[i] + 128) * (128 - y[i])); });
}

}  // namespace tfodl
