#include "tfodl/float32/hot_f32.h"
#include <string.h>

#include "tfodl/gradient_f32.h"
#include "tfodl/detail/window.h"

namespace tfodl {
namespace {

// g_x = 0, then `spread(window, c, g, g_x)` for every output value.
template <class Spread>
void scatter(const Pool& p, const float* g_y, float* g_x, Spread spread) {
  memset(g_x, 0, sizeof(float) * static_cast<size_t>(p.in_h * p.in_w * p.channels));
  for (int32_t oy = 0; oy < p.out_h; ++oy) {
    for (int32_t ox = 0; ox < p.out_w; ++ox) {
      const Window w = window_of(p, oy, ox);
      for (int32_t c = 0; c < p.channels; ++c) spread(w, c, *g_y++, g_x);
    }
  }
}

}  // namespace

void average_pool_input_grad_f32(const Pool& pool, const float* g_y, float* g_x) {
  const Pool p = pool;
  scatter(p, g_y, g_x, [&p](const Window& w, int32_t c, float g, float* out) {
    const float share = g / static_cast<float>(w.count());
    for (int32_t y = w.y0; y < w.y1; ++y) {
      for (int32_t x = w.x0; x < w.x1; ++x) out[(y * p.in_w + x) * p.channels + c] += share;
    }
  });
}

void max_pool_input_grad_f32(const Pool& pool, const int8_t* x, const float* g_y, float* g_x) {
  const Pool p = pool;
  scatter(p, g_y, g_x, [&p, x](const Window& w, int32_t c, float g, float* out) {
    int32_t best = -129, where = 0;
    for (int32_t y = w.y0; y < w.y1; ++y) {
      for (int32_t i = w.x0; i < w.x1; ++i) {
        const int32_t at = (y * p.in_w + i) * p.channels + c;
        if (x[at] > best) best = x[at], where = at;
      }
    }
    out[where] += g;
  });
}

}  // namespace tfodl
