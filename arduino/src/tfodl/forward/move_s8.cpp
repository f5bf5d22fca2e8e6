#include <string.h>

#include "tfodl/detail/runs.h"
#include "tfodl/forward.h"

namespace tfodl {

void pad_s8(const Pad& p, const int8_t* x, int8_t* y) {
  memset(y, p.value, static_cast<size_t>(p.out_h) * static_cast<size_t>(p.out_w * p.out_c));
  for (int32_t iy = 0; iy < p.in_h; ++iy) {
    int8_t* out = y + ((iy + p.top) * p.out_w + p.left) * p.out_c + p.front;
    for (int32_t ix = 0; ix < p.in_w; ++ix, x += p.in_c, out += p.out_c) {
      memcpy(out, x, static_cast<size_t>(p.in_c));
    }
  }
}

void move_s8(const Strided& p, const int8_t* x, int8_t* y) {
  const int32_t n = p.size[5], step = p.stride[5];
  for_each_run(p, [&](int32_t from) {
    if (step == 1) {
      memcpy(y, x + from, static_cast<size_t>(n));
      y += n;
      return;
    }
    for (int32_t i = 0; i < n; ++i, from += step) *y++ = x[from];
  });
}

void concatenation_s8(const int8_t* x, int32_t outer, int32_t inner, int32_t total, int32_t offset, int8_t* y) {
  for (int32_t i = 0; i < outer; ++i) memcpy(y + i * total + offset, x + i * inner, static_cast<size_t>(inner));
}

void gather_channels_s8(const int8_t* x, int32_t positions, int32_t in_c, const int16_t* channels, int32_t n,
                        int8_t* y) {
  for (int32_t p = 0; p < positions; ++p, x += in_c) {
    for (int32_t j = 0; j < n; ++j) *y++ = x[channels ? channels[j] : j];
  }
}

}  // namespace tfodl
