#include "tfodl/float32/hot_f32.h"
#include <string.h>

#include "tfodl/detail/fixed_point.h"
#include "tfodl/detail/runs.h"
#include "tfodl/gradient.h"
#include "tfodl/gradient_f32.h"
#include "tfodl/support.h"

namespace tfodl {
namespace {

// g_x[j] = the sum of `term(i)` over the elements i < n that read element j.
template <class Term>
void sum_terms(int32_t n, const Spread& s, float* g_x, Term term) {
  if (s.size == n) {
    for (int32_t i = 0; i < n; ++i) g_x[i] = term(i);
    return;
  }
  memset(g_x, 0, sizeof(float) * static_cast<size_t>(s.size));
  for (int32_t i = 0; i < n;) {
    for (int32_t j = 0; j < s.size; ++j) {
      for (int32_t end = i + s.repeat; i < end; ++i) g_x[j] += term(i);
    }
  }
}

}  // namespace

bool softmax_cross_entropy_f32(const float* table, const int8_t* q, int32_t n, int32_t label, float* g,
                               uint32_t* p_label) {
  int32_t top = q[0];
  for (int32_t i = 1; i < n; ++i) top = q[i] > top ? q[i] : top;
  float total = 0.0f;
  for (int32_t i = 0; i < n; ++i) total += table[top - q[i]];
  float others = 0.0f;
  for (int32_t i = 0; i < n; ++i) {
    g[i] = table[top - q[i]] / total;
    if (i != label) others += g[i];
  }
  if (p_label) *p_label = static_cast<uint32_t>(g[label] * 1073741824.0f);
  g[label] = -others;
  return others > 0.0f;
}

bool mean_squared_error_f32(float factor, const int8_t* q, const int8_t* t, int32_t n, float* g,
                            uint32_t* sum_squares) {
  uint32_t squares = 0;
  for (int32_t i = 0; i < n; ++i) {
    const int32_t difference = q[i] - t[i];
    squares += static_cast<uint32_t>(difference * difference);
    g[i] = static_cast<float>(2 * difference) * factor;
  }
  if (sum_squares) *sum_squares = squares;
  return squares != 0;
}

bool binary_cross_entropy_f32(const float* table, float factor, const int8_t* q, const int8_t* t, int32_t n, float* g,
                              float* loss) {
  float total = 0.0f;
  bool any = false;
  for (int32_t i = 0; i < n; ++i) {
    const float p = table[q[i] + 128];
    const float wrong = t[i] ? (p < 0.0f ? p : p - 1.0f) : (p < 0.0f ? p + 1.0f : p);
    const float right = 1.0f - (wrong < 0.0f ? -wrong : wrong);
    if (loss) total += cross_entropy(static_cast<uint32_t>(right * 1073741824.0f));
    g[i] = wrong * factor;
    any = any || g[i] != 0.0f;
  }
  if (loss) *loss = total * factor;
  return any;
}

bool reconstruction_error_f32(const Reconstruction& p, float y_scale, float x_scale, float factor, const int8_t* q,
                              const int8_t* x, int32_t n, float* g, uint64_t* squares) {
  bool any = false;
  for (int32_t i = 0; i < n; ++i) {
    const float y = static_cast<float>(q[i] - p.y_zero) * y_scale;
    const float wanted = static_cast<float>(x[i] - p.x_zero) * x_scale;
    g[i] = (y - wanted) * factor;
    any = any || g[i] != 0.0f;
  }
  if (squares) *squares = reconstruction_squares_s8(p, q, x, n);
  return any;
}

void add_grads_f32(const float* a, const float* b, int32_t n, float* out) {
  for (int32_t i = 0; i < n; ++i) out[i] = a[i] + b[i];
}

void mask_grad_f32(const float* g, const uint8_t* mask, int32_t n, float* out) {
  for (int32_t i = 0; i < n; ++i) out[i] = !mask || get_bit(mask, i) ? g[i] : 0.0f;
}

void negate_grad_f32(const float* g, int32_t n, float* out) {
  for (int32_t i = 0; i < n; ++i) out[i] = -g[i];
}

void mul_input_grad_f32(float scale, int16_t b_zero, const int8_t* b, const Spread& b_spread, const float* g_y,
                        int32_t n, const Spread& x_spread, float* g_x) {
  const Spread over = b_spread;
  sum_terms(n, x_spread, g_x, [=](int32_t i) {
    const int32_t partner = over.size == n ? b[i] : b[i / over.repeat % over.size];
    return g_y[i] * (scale * static_cast<float>(partner - b_zero));
  });
}

void sum_grad_f32(int32_t sign, const float* g_y, int32_t n, const Spread& spread, float* g_x) {
  sum_terms(n, spread, g_x, [=](int32_t i) { return sign < 0 ? -g_y[i] : g_y[i]; });
}

void extremum_input_grad_f32(int32_t sign, int32_t limit, const int8_t* x, const Spread& x_spread, const int8_t* b,
                             const Spread& b_spread, const float* g_y, int32_t n, float* g_x) {
  const Spread over_x = x_spread, over_b = b_spread;
  sum_terms(n, x_spread, g_x, [=](int32_t i) {
    const int32_t less = x[i / over_x.repeat % over_x.size] - b[i / over_b.repeat % over_b.size];
    return sign * less < limit ? g_y[i] : 0.0f;
  });
}

void lookup_input_grad_f32(const int16_t* slope, const int8_t* x, const float* g_y, int32_t n, float* g_x) {
  for (int32_t i = 0; i < n; ++i) g_x[i] = g_y[i] * (static_cast<float>(slope[x[i] + 128]) * (1.0f / 8192.0f));
}

void prelu_input_grad_f32(const int16_t* slope, const Spread& slope_spread, int16_t x_zero, const int8_t* x,
                          const float* g_y, int32_t n, float* g_x) {
  const Spread over = slope_spread;
  for (int32_t i = 0; i < n; ++i) {
    const int32_t at = x[i] >= x_zero ? 1 << 13 : int32_t{slope[i / over.repeat % over.size]};
    g_x[i] = g_y[i] * (static_cast<float>(at) * (1.0f / 8192.0f));
  }
}

void logistic_input_grad_f32(const int8_t* y, const float* g_y, int32_t n, float* g_x) {
  for (int32_t i = 0; i < n; ++i) {
    const int32_t slope = (y[i] + 128) * (128 - y[i]);  // 2^16 p (1 - p)
    g_x[i] = g_y[i] * (static_cast<float>(slope) * (1.0f / 65536.0f));
  }
}

void mean_input_grad_f32(const float* g_y, const Reduce& shape, float* g_x) {
  const Reduce r = shape;
  const float count = static_cast<float>(r.first * r.second);
  for (int32_t o = 0; o < r.outer; ++o, g_y += r.middle * r.inner) {
    for (int32_t f = 0; f < r.first; ++f) {
      for (int32_t m = 0; m < r.middle; ++m) {
        const float* row = g_y + m * r.inner;
        for (int32_t i = 0; i < r.second; ++i) {
          for (int32_t c = 0; c < r.inner; ++c) *g_x++ = row[c] / count;
        }
      }
    }
  }
}

void pad_input_grad_f32(const Pad& p, const float* g_y, float* g_x) {
  for (int32_t iy = 0; iy < p.in_h; ++iy) {
    const float* row = g_y + ((iy + p.top) * p.out_w + p.left) * p.out_c + p.front;
    for (int32_t ix = 0; ix < p.in_w; ++ix, g_x += p.in_c, row += p.out_c) {
      memcpy(g_x, row, sizeof(float) * static_cast<size_t>(p.in_c));
    }
  }
}

void move_input_grad_f32(const Strided& p, const float* g_y, int32_t n, float* g_x) {
  memset(g_x, 0, sizeof(float) * static_cast<size_t>(n));
  for_each_run(p, [&](int32_t to) {
    for (int32_t i = 0; i < p.size[5]; ++i, to += p.stride[5]) g_x[to] += *g_y++;
  });
}

void concatenation_input_grad_f32(const float* g_y, int32_t outer, int32_t inner, int32_t total, int32_t offset,
                                  float* g_x) {
  for (int32_t i = 0; i < outer; ++i) {
    memcpy(g_x + i * inner, g_y + i * total + offset, sizeof(float) * static_cast<size_t>(inner));
  }
}

}  // namespace tfodl
