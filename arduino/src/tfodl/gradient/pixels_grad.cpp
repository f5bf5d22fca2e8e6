#include "tfodl/detail/cold.h"
#include <string.h>

#include "tfodl/detail/inner.h"
#include "tfodl/detail/shift_rule.h"
#include "tfodl/dsp/dsp.h"
#include "tfodl/gradient.h"

namespace tfodl {
namespace {

// Some pixels of the layer, in a row.
uint32_t band(const Conv& p, const ConvGrad& q, const int16_t* g_y, const uint8_t* mask, int32_t shift, int16_t* g_x,
              void* scratch) {
  if (TFODL_DSP) return dsp::pointwise_input_grad_s16(p, q, g_y, mask, shift, g_x, scratch);
  int32_t* sums = static_cast<int32_t*>(scratch);
  int16_t* prepared = reinterpret_cast<int16_t*>(sums + p.in_c);
  uint32_t bits = 0;
  for (int32_t i = 0; i < p.out_w; ++i) {
    prepare_grad_s16(g_y + i * p.out_c, p.out_c, q, mask, i * p.out_c, prepared);
    memset(sums, 0, sizeof *sums * static_cast<size_t>(p.in_c));
    add_weighted_rows_s8(p, 0, prepared, 1, sums);
    bits |= narrow_s32(sums, p.in_c, shift, g_x + i * p.in_c);
  }
  return bits;
}

}  // namespace

void pointwise_pixels_input_grad_s16(const Conv& p, int32_t pixels, const ConvGrad& q, const int16_t* g_y, int16_t e_y,
                                     const uint8_t* mask, int16_t* g_x, GradScale& s, void* scratch) {
  const int32_t all = p.out_h * p.out_w;
  apply_shift_rule(s, e_y + q.exponent, [&](int32_t shift) {
    uint32_t bits = 0;
    for (int32_t i = 0, n; i < all; i += n) {
      n = all - i < pixels ? all - i : pixels;
      const uint8_t* passing = mask ? mask + (i * p.out_c >> 3) : nullptr;
      bits |= band(some_pixels(p, n), q, g_y + i * p.out_c, passing, shift, g_x + i * p.in_c, scratch);
    }
    return bits;
  });
}

}  // namespace tfodl
