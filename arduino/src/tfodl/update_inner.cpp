#include "hot.h"
#include "inner.h"

namespace tfodl {
namespace {

constexpr int32_t kBlock = 4;  // sums in registers

template <bool kTwo>
void add_outer(const int16_t* __restrict g0, const int16_t* __restrict g1, int32_t n, const int8_t* x,
               int32_t stride, int32_t channels, int32_t* __restrict sums0, int32_t* __restrict sums1) {
  int32_t c = 0;
  for (; c + kBlock <= channels; c += kBlock) {
    int32_t a[kBlock] = {}, b[kBlock] = {};
    const int8_t* pixel = x + c;
    for (int32_t i = 0; i < n; ++i, pixel += stride) {
      for (int32_t j = 0; j < kBlock; ++j) {
        a[j] += g0[i] * pixel[j];
        if (kTwo) b[j] += g1[i] * pixel[j];
      }
    }
    for (int32_t j = 0; j < kBlock; ++j) {
      sums0[c + j] += a[j];
      if (kTwo) sums1[c + j] += b[j];
    }
  }
  for (; c < channels; ++c) {
    const int8_t* pixel = x + c;
    for (int32_t i = 0; i < n; ++i, pixel += stride) {
      sums0[c] += g0[i] * *pixel;
      if (kTwo) sums1[c] += g1[i] * *pixel;
    }
  }
}

}  // namespace

void add_outer_s8(const int16_t* g0, const int16_t* g1, int32_t n, const int8_t* x, int32_t stride,
                  int32_t channels, int32_t* sums0, int32_t* sums1) {
  if (g1) {
    add_outer<true>(g0, g1, n, x, stride, channels, sums0, sums1);
  } else {
    add_outer<false>(g0, nullptr, n, x, stride, channels, sums0, nullptr);
  }
}

}  // namespace tfodl
