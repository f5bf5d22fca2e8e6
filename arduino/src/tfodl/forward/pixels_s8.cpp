#include "tfodl/detail/cold.h"
#include "tfodl/forward.h"

namespace tfodl {

void pointwise_pixels_s8(const Conv& p, int32_t pixels, const int8_t* x, int8_t* y, uint8_t* mask, void* scratch) {
  const int32_t all = p.out_h * p.out_w;
  for (int32_t i = 0, n; i < all; i += n) {
    n = all - i < pixels ? all - i : pixels;
    uint8_t* bits = mask ? mask + (i * p.out_c >> 3) : nullptr;
    pointwise_s8(some_pixels(p, n), x + i * p.in_c, y + i * p.out_c, bits, scratch);
  }
}

}  // namespace tfodl
