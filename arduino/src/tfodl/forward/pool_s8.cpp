#include "tfodl/detail/hot.h"
#include "tfodl/detail/fixed_point.h"
#include "tfodl/forward.h"
#include "tfodl/detail/window.h"

namespace tfodl {
namespace {

constexpr int32_t kBlock = 16;  // channels whose sums are on the stack

struct Average {
  static int32_t start() { return 0; }
  static int32_t take(int32_t sum, int32_t x) { return sum + x; }
  static int32_t finish(int32_t sum, int32_t count) {
    return sum > 0 ? (sum + count / 2) / count : (sum - count / 2) / count;
  }
};

struct Maximum {
  static int32_t start() { return -128; }
  static int32_t take(int32_t best, int32_t x) { return x > best ? x : best; }
  static int32_t finish(int32_t best, int32_t) { return best; }
};

template <class Reduce>
void pool_pixel(const Pool& p, const Window& w, const int8_t* x, int8_t* y) {
  const int32_t channels = p.channels, count = w.count();
  int32_t acc[kBlock];
  for (int32_t c = 0; c < channels; c += kBlock) {
    const int32_t n = channels - c < kBlock ? channels - c : kBlock;
    for (int32_t i = 0; i < n; ++i) acc[i] = Reduce::start();
    for (int32_t iy = w.y0; iy < w.y1; ++iy) {
      const int8_t* pixel = x + (iy * p.in_w + w.x0) * channels + c;
      for (int32_t ix = w.x0; ix < w.x1; ++ix, pixel += channels) {
        for (int32_t i = 0; i < n; ++i) acc[i] = Reduce::take(acc[i], pixel[i]);
      }
    }
    for (int32_t i = 0; i < n; ++i) {
      y[c + i] = static_cast<int8_t>(clamp_s32(Reduce::finish(acc[i], count), p.act_min, p.act_max));
    }
  }
}

template <class Reduce>
void pool(const Pool& pool, const int8_t* x, int8_t* y) {
  const Pool p = pool;
  for (int32_t oy = 0; oy < p.out_h; ++oy) {
    for (int32_t ox = 0; ox < p.out_w; ++ox, y += p.channels) pool_pixel<Reduce>(p, window_of(p, oy, ox), x, y);
  }
}

// Of `rows` times n elements, `row` and `step` apart.
int32_t sum_of(const int8_t* x, int32_t rows, int32_t row, int32_t n, int32_t step) {
  int32_t sum = 0;
  for (int32_t r = 0; r < rows; ++r, x += row) {
    const int8_t* at = x;
    for (int32_t i = 0; i < n; ++i, at += step) sum += *at;
  }
  return sum;
}

}  // namespace

void average_pool_s8(const Pool& p, const int8_t* x, int8_t* y) { pool<Average>(p, x, y); }

void max_pool_s8(const Pool& p, const int8_t* x, int8_t* y) { pool<Maximum>(p, x, y); }

void mean_s8(const Requantize& requant, const Reduce& shape, const int8_t* x, int8_t* y) {
  const Requantize p = requant;
  const Reduce r = shape;
  const int32_t row = r.second * r.inner, block = r.middle * row;
  const bool single = r.second == 1;  // then the other loop is the inner one
  const int32_t outer = single ? 1 : r.first, inner = single ? r.first : r.second, step = single ? block : r.inner;
  for (int32_t o = 0; o < r.outer; ++o, x += r.first * block) {
    for (int32_t m = 0; m < r.middle; ++m) {
      for (int32_t c = 0; c < r.inner; ++c) {
        const int8_t* const at = x + m * row + c;
        const int32_t sum = sum_of(at, outer, block, inner, step) - r.first * r.second * p.in_zero;
        *y++ = static_cast<int8_t>(
            clamp_s32(requantize(sum, p.multiplier, p.shift) + p.out_zero, p.act_min, p.act_max));
      }
    }
  }
}

}  // namespace tfodl
