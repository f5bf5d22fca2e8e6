#include "tfodl/float32/hot_f32.h"
#include "tfodl/detail/bilinear.h"
#include "tfodl/gradient_f32.h"

namespace tfodl {

void resize_bilinear_input_grad_f32(const Bilinear& bilinear, const float* g_y, float* g_x) {
  const Bilinear p = bilinear;
  for_each_input(p, [&](const Readers& rows, const Readers& columns, int32_t iy, int32_t ix) {
    for (int32_t c = 0; c < p.channels; ++c) {
      *g_x++ = sum_of_readers<float>(rows, columns, iy, ix, [=](int32_t at, int32_t weight) {
        return g_y[at * p.channels + c] * (static_cast<float>(weight) * (1.0f / 1048576.0f));
      });
    }
  });
}

}  // namespace tfodl
