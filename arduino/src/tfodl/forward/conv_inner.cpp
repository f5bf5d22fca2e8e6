#include "tfodl/detail/hot.h"
#include "tfodl/detail/inner.h"

#include "tfodl/detail/fixed_point.h"

namespace tfodl {

void widen_s8(const int8_t* __restrict x, int32_t n, int32_t zero, int16_t* __restrict out) {
  for (int32_t i = 0; i < n; ++i) out[i] = static_cast<int16_t>(x[i] - zero);
}

namespace {

struct Row {
  const int8_t* weights;
  const int8_t* columns;  // trained input channels of this row, or null
};

Row row_of(const Conv& p, int32_t co, int32_t k) {
  if (p.columns) return {p.weights + co * k, p.trained + co * p.k_h * p.k_w * p.n_columns};
  if (p.slot && p.slot[co] >= 0) return {p.trained + p.slot[co] * k, nullptr};
  return {p.weights + co * k, nullptr};
}

// acc[row][pixel] += dot products of two weight rows with one or two columns.
template <int kPixels>
void dot_two_rows(const int8_t* __restrict w0, const int8_t* __restrict w1, const int16_t* __restrict x,
                  int32_t stride, int32_t n, int32_t (&acc)[2][2]) {
#if TFODL_DOT_V6M
  if (kPixels > 1 && n > 0) {
    const uint32_t next_row = reinterpret_cast<uintptr_t>(w1) - reinterpret_cast<uintptr_t>(w0);
    return dot_v6m(w0, next_row, x, static_cast<uint32_t>(stride) * sizeof *x, n, acc);
  }
#endif
  const int16_t* __restrict x1 = x + (kPixels > 1 ? stride : 0);
  int32_t a00 = acc[0][0], a01 = acc[0][1], a10 = acc[1][0], a11 = acc[1][1];
  for (int32_t i = 0; i < n; ++i) {
    a00 += w0[i] * x[i];
    a10 += w1[i] * x[i];
    if (kPixels > 1) a01 += w0[i] * x1[i];
    if (kPixels > 1) a11 += w1[i] * x1[i];
  }
  acc[0][0] = a00, acc[0][1] = a01, acc[1][0] = a10, acc[1][1] = a11;
}

template <int kPixels>
void conv_pixels(const Conv& p, const int16_t* columns, int32_t stride, int8_t* y, uint8_t* mask,
                 int32_t first_bit) {
  const int32_t taps = p.k_h * p.k_w, k = taps * p.in_c, out_c = p.out_c;
  const Clip clip = {p.out_zero, p.act_min, p.act_max};
  for (int32_t co = 0; co < out_c; co += 2) {
    const int32_t rows = co + 1 < out_c ? 2 : 1;
    const Row r0 = row_of(p, co, k), r1 = row_of(p, co + rows - 1, k);
    const int32_t b0 = p.bias[co], b1 = p.bias[co + rows - 1];
    int32_t acc[2][2] = {{b0, b0}, {b1, b1}};
    dot_two_rows<kPixels>(r0.weights, r1.weights, columns, stride, k, acc);
    if (r0.columns) {
      dot_two_rows<kPixels>(r0.columns, r1.columns, columns + k, stride, taps * p.n_columns, acc);
    }
    for (int32_t r = 0; r < rows; ++r) {
      const int32_t multiplier = p.multiplier[co + r], shift = p.shift[co + r];
      for (int32_t i = 0; i < kPixels; ++i) {
        const int32_t a = acc[r][i], at = i * out_c + co + r;
        y[at] = clip(a, requantize(a, multiplier, shift), mask, first_bit + at);
      }
    }
  }
}

}  // namespace

void conv_pixels_s8(const Conv& p, const int16_t* columns, int32_t stride, int32_t pixels, int8_t* y,
                    uint8_t* mask, int32_t first_bit) {
  if (pixels > 1) {
    conv_pixels<2>(p, columns, stride, y, mask, first_bit);
  } else {
    conv_pixels<1>(p, columns, stride, y, mask, first_bit);
  }
}

}  // namespace tfodl
