#include "tfodl/detail/hot.h"
#include "tfodl/detail/inner.h"

#include "tfodl/detail/fixed_point.h"

namespace tfodl {

void prepare_grad_s16(const int16_t* __restrict g, int32_t n, const ConvGrad& q, const uint8_t* mask,
                      int32_t first_bit, int16_t* __restrict out) {
  const int16_t* __restrict scale = q.scale;
  const int32_t shift = 15 + q.headroom;
  for (int32_t i = 0; i < n; ++i) {
    const bool pass = !mask || get_bit(mask, first_bit + i);
    out[i] = pass ? static_cast<int16_t>(rshift(g[i] * scale[i], shift)) : int16_t{0};
  }
}

namespace {

constexpr int32_t kRows = 4;

// sums[ci] += grad[0..4) . rows[0..4)[ci], one or two pixels.
template <int kPixels>
void add_rows(const int8_t* const (&rows)[kRows], const int16_t* grad, int32_t stride, int32_t n,
              int32_t* __restrict sums0, int32_t* __restrict sums1) {
  const int8_t* __restrict w0 = rows[0];
  const int8_t* __restrict w1 = rows[1];
  const int8_t* __restrict w2 = rows[2];
  const int8_t* __restrict w3 = rows[3];
  const int32_t g00 = grad[0], g01 = grad[1], g02 = grad[2], g03 = grad[3];
  const int16_t* other = grad + (kPixels > 1 ? stride : 0);
  const int32_t g10 = other[0], g11 = other[1], g12 = other[2], g13 = other[3];
  for (int32_t i = 0; i < n; ++i) {
    sums0[i] += g00 * w0[i] + g01 * w1[i] + g02 * w2[i] + g03 * w3[i];
    if (kPixels > 1) sums1[i] += g10 * w0[i] + g11 * w1[i] + g12 * w2[i] + g13 * w3[i];
  }
}

void add_row(const int8_t* __restrict w, int32_t g, int32_t n, int32_t* __restrict sums) {
  for (int32_t i = 0; i < n; ++i) sums[i] += g * w[i];
}

const int8_t* tap_row(const Conv& p, int32_t co, int32_t tap) {
  const int32_t k = p.k_h * p.k_w * p.in_c;
  const bool trained = p.slot && !p.columns && p.slot[co] >= 0;
  return (trained ? p.trained + p.slot[co] * k : p.weights + co * k) + tap * p.in_c;
}

// The trained input channels: how far they are from their first values in `weights`, which are added already.
void add_columns(const Conv& p, int32_t tap, const int16_t* grad, int32_t* sums) {
  const int32_t taps = p.k_h * p.k_w, n = p.n_columns;
  const int8_t *w = p.trained + tap * n, *first = p.weights + tap * p.in_c;
  for (int32_t co = 0; co < p.out_c; ++co, w += taps * n, first += taps * p.in_c) {
    for (int32_t j = 0; j < n; ++j) sums[p.columns[j]] += grad[co] * (w[j] - first[p.columns[j]]);
  }
}

template <int kPixels>
void add_weighted_rows(const Conv& p, int32_t tap, const int16_t* grad, int32_t* sums) {
  const int32_t n = p.in_c, out_c = p.out_c;
  int32_t* sums1 = sums + (kPixels > 1 ? n : 0);
  int32_t co = 0;
  for (; co + kRows <= out_c; co += kRows) {
    const int8_t* const rows[kRows] = {tap_row(p, co, tap), tap_row(p, co + 1, tap), tap_row(p, co + 2, tap),
                                       tap_row(p, co + 3, tap)};
    add_rows<kPixels>(rows, grad + co, out_c, n, sums, sums1);
  }
  for (; co < out_c; ++co) {
    add_row(tap_row(p, co, tap), grad[co], n, sums);
    if (kPixels > 1) add_row(tap_row(p, co, tap), grad[out_c + co], n, sums1);
  }
  if (!p.columns) return;
  add_columns(p, tap, grad, sums);
  if (kPixels > 1) add_columns(p, tap, grad + out_c, sums1);
}

}  // namespace

void add_weighted_rows_s8(const Conv& p, int32_t tap, const int16_t* grad, int32_t pixels, int32_t* sums) {
  if (pixels > 1) {
    add_weighted_rows<2>(p, tap, grad, sums);
  } else {
    add_weighted_rows<1>(p, tap, grad, sums);
  }
}

uint32_t narrow_s32(const int32_t* __restrict sums, int32_t n, int32_t shift, int16_t* __restrict out) {
  uint32_t bits = 0;
  for (int32_t i = 0; i < n; ++i) {
    bits |= magnitude(sums[i]);
    out[i] = saturate_s16(rshift(sums[i], shift));
  }
  return bits;
}

}  // namespace tfodl
