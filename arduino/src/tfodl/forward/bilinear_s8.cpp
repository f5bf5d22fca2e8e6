#include "tfodl/detail/bilinear.h"
#include "tfodl/forward.h"

namespace tfodl {

void resize_bilinear_s8(const Bilinear& bilinear, const int8_t* x, int8_t* y) {
  const Bilinear p = bilinear;
  const int32_t c = p.channels;
  for (int32_t oy = 0; oy < p.out_h; ++oy) {
    const Tap h(oy, p.scale_h, p.half_pixel, p.in_h);
    const int8_t *above = x + h.lower * p.in_w * c, *below = x + h.upper * p.in_w * c;
    for (int32_t ox = 0; ox < p.out_w; ++ox) {
      const Tap w(ox, p.scale_w, p.half_pixel, p.in_w);
      const int32_t left = w.lower * c, right = w.upper * c;
      for (int32_t i = 0; i < c; ++i) {
        const int32_t top = above[left + i] * (1024 - w.part) + above[right + i] * w.part;
        const int32_t bottom = below[left + i] * (1024 - w.part) + below[right + i] * w.part;
        const int32_t sum = top * (1024 - h.part) + bottom * h.part;
        *y++ = static_cast<int8_t>((sum + (sum > 0 ? 1 << 19 : -(1 << 19))) / (1 << 20));
      }
    }
  }
}

}  // namespace tfodl
