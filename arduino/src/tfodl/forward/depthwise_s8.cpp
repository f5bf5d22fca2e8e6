#include "tfodl/detail/cold.h"
#include "tfodl/dsp/dsp.h"
#include "tfodl/detail/fixed_point.h"
#include "tfodl/forward.h"

namespace tfodl {
namespace {

constexpr int32_t kBlock = 32;  // channels whose sums are on the stack

// The taps of one output pixel that lie in the map.
struct Window {
  int32_t top, left;            // input pixel of tap (0, 0)
  int32_t ky0, ky1, kx0, kx1;   // valid taps
  bool whole;
};

Window window_of(const Conv& p, int32_t oy, int32_t ox) {
  Window w;
  w.top = oy * p.stride_h - p.pad_top;
  w.left = ox * p.stride_w - p.pad_left;
  w.ky0 = w.top < 0 ? -w.top : 0;
  w.kx0 = w.left < 0 ? -w.left : 0;
  w.ky1 = w.top + p.k_h > p.in_h ? p.in_h - w.top : p.k_h;
  w.kx1 = w.left + p.k_w > p.in_w ? p.in_w - w.left : p.k_w;
  w.whole = w.ky0 == 0 && w.kx0 == 0 && w.ky1 == p.k_h && w.kx1 == p.k_w;
  return w;
}

// sums[i] += x[i] w[i] over `taps` pixels in a row of the map.
void add_taps(const int8_t* __restrict x, const int8_t* __restrict w, int32_t channels, int32_t taps,
              int32_t zero, int32_t n, int32_t* __restrict sums) {
  if (!TFODL_DSP && taps == 3) {  // the DSP path takes nearly all of these
    const int32_t two = 2 * channels;
    for (int32_t i = 0; i < n; ++i) {
      sums[i] += (x[i] - zero) * w[i] + (x[i + channels] - zero) * w[i + channels] + (x[i + two] - zero) * w[i + two];
    }
    return;
  }
  for (int32_t t = 0; t < taps; ++t, x += channels, w += channels) {
    for (int32_t i = 0; i < n; ++i) sums[i] += (x[i] - zero) * w[i];
  }
}

// bias[c] less the share of the input's zero point when every tap is inside.
void fold_bias(const Conv& p, int32_t* folded) {
  const int32_t channels = p.in_c, taps = p.k_h * p.k_w;
  for (int32_t c = 0; c < channels; ++c) {
    int32_t sum = 0;
    for (int32_t t = 0; t < taps; ++t) sum += p.weights[t * channels + c];
    folded[c] = p.bias[c] - p.in_zero * sum;
  }
}

void depthwise_pixel(const Conv& p, ConstRows x, const Window& win, const int32_t* folded, int8_t* y,
                     uint8_t* mask, int32_t first_bit) {
  const Clip clip = {p.out_zero, p.act_min, p.act_max};
  const bool fold = !TFODL_DSP && win.whole;  // small where few layers come by
  const int32_t channels = p.in_c, zero = fold ? 0 : p.in_zero;
  const int32_t* bias = fold ? folded : p.bias;
  int32_t sums[kBlock];
  for (int32_t c = 0; c < channels; c += kBlock) {
    const int32_t n = channels - c < kBlock ? channels - c : kBlock;
    for (int32_t i = 0; i < n; ++i) sums[i] = bias[c + i];
    for (int32_t ky = win.ky0; ky < win.ky1; ++ky) {
      const int8_t* pixels = x.data + (((win.top + ky) % x.rows) * p.in_w + win.left + win.kx0) * channels + c;
      const int8_t* weights = p.weights + (ky * p.k_w + win.kx0) * channels + c;
      add_taps(pixels, weights, channels, win.kx1 - win.kx0, zero, n, sums);
    }
    for (int32_t i = 0; i < n; ++i) {
      const int32_t v = requantize(sums[i], p.multiplier[c + i], p.shift[c + i]);
      y[c + i] = clip(sums[i], v, mask, first_bit + c + i);
    }
  }
}

}  // namespace

void depthwise_rows_s8(const Conv& conv, ConstRows x, Rows y, int16_t y0, int16_t y1, uint8_t* mask,
                       void* scratch) {
  if (dsp::depthwise_rows_s8(conv, x, y, y0, y1, mask, scratch)) return;
  const Conv p = conv;
  int32_t* folded = static_cast<int32_t*>(scratch);
  if (!TFODL_DSP) fold_bias(p, folded);
  for (int32_t oy = y0; oy < y1; ++oy) {
    int8_t* out = y.data + (oy % y.rows) * p.out_w * p.out_c;
    for (int32_t ox = 0; ox < p.out_w; ++ox) {
      const Window win = window_of(p, oy, ox);
      depthwise_pixel(p, x, win, folded, out + ox * p.out_c, mask, (oy * p.out_w + ox) * p.out_c);
    }
  }
}

void depthwise_s8(const Conv& p, const int8_t* x, int8_t* y, uint8_t* mask, void* scratch) {
  depthwise_rows_s8(p, {x, p.in_h}, {y, p.out_h}, 0, p.out_h, mask, scratch);
}

}  // namespace tfodl
