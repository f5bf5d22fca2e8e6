#include "tfodl/detail/hot.h"
#include <string.h>

#include "tfodl/dsp/dsp.h"
#include "tfodl/forward.h"
#include "tfodl/detail/inner.h"

namespace tfodl {
namespace {

int32_t column_length(const Conv& p) {
  return (p.k_h * p.k_w * (p.in_c + (p.columns ? p.n_columns : 0)) + 3) & ~3;
}

const int8_t* row(ConstRows x, int32_t y, int32_t row_bytes) { return x.data + (y % x.rows) * row_bytes; }

// Moves the trained input channels of a widened pixel to `out`, so that `weights` meets 0 there.
int16_t* take_trained(const Conv& p, int16_t* pixel, int16_t* out) {
  for (int32_t j = 0; j < p.n_columns; ++j) {
    int16_t& value = pixel[p.columns[j]];
    *out++ = value;
    value = 0;
  }
  return out;
}

// The taps of output pixel (oy, ox), widened; padding is 0.
void fill_column(const Conv& p, ConstRows x, int32_t oy, int32_t ox, int16_t* out) {
  const int32_t in_c = p.in_c, left = ox * p.stride_w - p.pad_left, top = oy * p.stride_h - p.pad_top;
  const int32_t from = left < 0 ? -left : 0;
  const int32_t to = left + p.k_w > p.in_w ? p.in_w - left : p.k_w;  // valid taps: from <= kx < to
  int16_t* trained = out + p.k_h * p.k_w * in_c;
  const int32_t n_trained = p.columns ? p.n_columns : 0;
  for (int32_t ky = 0; ky < p.k_h; ++ky, out += p.k_w * in_c, trained += p.k_w * n_trained) {
    const int32_t iy = top + ky;
    const bool inside = iy >= 0 && iy < p.in_h && from < to;
    if (!inside || to - from < p.k_w) {
      memset(out, 0, sizeof(int16_t) * static_cast<size_t>(p.k_w * in_c));
      memset(trained, 0, sizeof(int16_t) * static_cast<size_t>(p.k_w * n_trained));
    }
    if (!inside) continue;
    const int8_t* pixels = row(x, iy, p.in_w * in_c) + (left + from) * in_c;
    widen_s8(pixels, (to - from) * in_c, p.in_zero, out + from * in_c);
    int16_t* taken = trained + from * n_trained;
    for (int32_t kx = from; n_trained && kx < to; ++kx) taken = take_trained(p, out + kx * in_c, taken);
  }
}

// `n` pixels that are contiguous in x and in y.
void pointwise_run(const Conv& p, const int8_t* x, int32_t n, int8_t* y, uint8_t* mask, int32_t first_bit,
                   int16_t* columns) {
  const int32_t stride = column_length(p), in_c = p.in_c, out_c = p.out_c;
  for (int32_t i = 0; i < n; i += 2) {
    const int32_t pixels = i + 1 < n ? 2 : 1;
    for (int32_t j = 0; j < pixels; ++j) {
      int16_t* column = columns + j * stride;
      widen_s8(x + (i + j) * in_c, in_c, p.in_zero, column);
      if (p.columns) take_trained(p, column, column + in_c);
    }
    conv_pixels_s8(p, columns, stride, pixels, y + i * out_c, mask, first_bit + i * out_c);
  }
}

}  // namespace

void conv_rows_s8(const Conv& conv, ConstRows x, Rows y, int16_t y0, int16_t y1, uint8_t* mask,
                  void* scratch) {
  if (TFODL_DSP) return dsp::conv_rows_s8(conv, x, y, y0, y1, mask, scratch);
  const Conv p = conv;
  int16_t* columns = static_cast<int16_t*>(scratch);
  const int32_t stride = column_length(p), out_w = p.out_w, out_c = p.out_c;
  for (int32_t oy = y0; oy < y1; ++oy) {
    int8_t* out = y.data + (oy % y.rows) * out_w * out_c;
    for (int32_t ox = 0; ox < out_w; ox += 2) {
      const int32_t pixels = ox + 1 < out_w ? 2 : 1;
      for (int32_t i = 0; i < pixels; ++i) fill_column(p, x, oy, ox + i, columns + i * stride);
      conv_pixels_s8(p, columns, stride, pixels, out + ox * out_c, mask, (oy * out_w + ox) * out_c);
    }
  }
}

void conv_s8(const Conv& p, const int8_t* x, int8_t* y, uint8_t* mask, void* scratch) {
  conv_rows_s8(p, {x, p.in_h}, {y, p.out_h}, 0, p.out_h, mask, scratch);
}

void pointwise_rows_s8(const Conv& conv, ConstRows x, Rows y, int16_t y0, int16_t y1, uint8_t* mask,
                       void* scratch) {
  if (TFODL_DSP) return dsp::conv_rows_s8(conv, x, y, y0, y1, mask, scratch);
  const Conv p = conv;
  const int32_t in_row = p.in_w * p.in_c, out_row = p.out_w * p.out_c;
  for (int32_t oy = y0; oy < y1; ++oy) {
    pointwise_run(p, row(x, oy, in_row), p.out_w, y.data + (oy % y.rows) * out_row, mask, oy * out_row,
                  static_cast<int16_t*>(scratch));
  }
}

void pointwise_s8(const Conv& p, const int8_t* x, int8_t* y, uint8_t* mask, void* scratch) {
  if (TFODL_DSP) return dsp::conv_rows_s8(p, {x, p.in_h}, {y, p.out_h}, 0, p.out_h, mask, scratch);
  pointwise_run(p, x, p.out_h * p.out_w, y, mask, 0, static_cast<int16_t*>(scratch));
}

void fully_connected_s8(const Conv& p, const int8_t* x, int8_t* y, uint8_t* mask, void* scratch) {
  if (TFODL_DSP) return dsp::fully_connected_s8(p, x, y, mask, scratch);
  pointwise_run(p, x, 1, y, mask, 0, static_cast<int16_t*>(scratch));
}

}  // namespace tfodl
