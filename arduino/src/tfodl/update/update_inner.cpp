#include "tfodl/detail/hot.h"
#include "tfodl/dsp/dsp.h"
#include "tfodl/detail/inner.h"
#include "tfodl/detail/tap_cursor.h"

#if !TFODL_DSP
namespace tfodl {

void widen_columns_s8(const Conv& p, const int8_t* x, int32_t channels, int32_t tap, int32_t c, int32_t first,
                      int32_t n, int32_t groups, int16_t* out) {
  TapCursor cursor(p, x, channels, tap, first);
  for (int32_t i = 0; i < 4 * groups; ++i) {
    const int8_t* pixel = i < n ? cursor.next() : nullptr;
    int16_t* to = out + (i >> 2) * 8 + kPlaceInGroup[i & 3];
    for (int32_t j = 0; j < 4; ++j) {
      const bool present = pixel && c + j < channels;
      to[(j >> 1) * 8 * groups + (j & 1) * 4] = present ? static_cast<int16_t>(pixel[c + j] - p.in_zero) : int16_t{0};
    }
  }
}

void outer_sums_s16(const int16_t* grads, const int16_t* columns, int32_t groups, int32_t pairs,
                    int32_t* sums) {
  for (int32_t i = 0; i < pairs; ++i, sums += 4) {
    int32_t a00 = 0, a01 = 0, a10 = 0, a11 = 0;
    const int16_t* __restrict g = grads;
    for (int32_t k = 0; k < groups; ++k, g += 8, columns += 8) {
      for (int32_t j = 0; j < 4; ++j) {
        a00 += g[j] * columns[j];
        a01 += g[j + 4] * columns[j];
        a10 += g[j] * columns[j + 4];
        a11 += g[j + 4] * columns[j + 4];
      }
    }
    sums[0] = a00, sums[1] = a01, sums[2] = a10, sums[3] = a11;
  }
}

}  // namespace tfodl
#endif
