#include "tfodl/detail/hot.h"
#include "tfodl/detail/bilinear.h"
#include "tfodl/detail/shift_rule.h"
#include "tfodl/gradient.h"

namespace tfodl {

void resize_bilinear_input_grad_s16(const Bilinear& bilinear, const int16_t* g_y, int16_t e_y, int32_t bits,
                                    int16_t* g_x, GradScale& s) {
  const Bilinear p = bilinear;
  apply_shift_rule(s, e_y - 20 + bits, [=](int32_t shift) {
    uint32_t seen = 0;
    int16_t* out = g_x;
    for_each_input(p, [&](const Readers& rows, const Readers& columns, int32_t iy, int32_t ix) {
      for (int32_t c = 0; c < p.channels; ++c) {
        const int64_t sum = sum_of_readers<int64_t>(rows, columns, iy, ix, [=](int32_t at, int32_t weight) {
          return static_cast<int64_t>(g_y[at * p.channels + c]) * weight;
        });
        const int32_t acc = static_cast<int32_t>(rshift_s64(sum, bits));
        seen |= magnitude(acc);
        *out++ = saturate_s16(rshift(acc, shift));
      }
    });
    return seen;
  });
}

}  // namespace tfodl
