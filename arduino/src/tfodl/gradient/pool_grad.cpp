#include "tfodl/detail/hot.h"
#include <string.h>

#include "tfodl/detail/runs.h"
#include "tfodl/gradient.h"
#include "tfodl/detail/shift_rule.h"
#include "tfodl/detail/window.h"

namespace tfodl {
namespace {

// g_x[ix][c] = sum of `term(oy, ox, c)` over the windows that hold the pixel.
template <class Term>
uint32_t gather_pass(const Pool& p, int32_t shift, int16_t* g_x, Term term) {
  uint32_t bits = 0;
  for (int32_t iy = 0; iy < p.in_h; ++iy) {
    const Range ys = outputs_over(iy, p.pad_top, p.k_h, p.stride_h, p.out_h);
    for (int32_t ix = 0; ix < p.in_w; ++ix) {
      const Range xs = outputs_over(ix, p.pad_left, p.k_w, p.stride_w, p.out_w);
      for (int32_t c = 0; c < p.channels; ++c) {
        int32_t sum = 0;
        for (int32_t oy = ys.first; oy <= ys.last; ++oy) {
          for (int32_t ox = xs.first; ox <= xs.last; ++ox) sum += term(iy, ix, oy, ox, c);
        }
        bits |= magnitude(sum);
        *g_x++ = saturate_s16(rshift(sum, shift));
      }
    }
  }
  return bits;
}

// Windows apart and whole: every sum is one int16, and the shift rule has nothing to do.
bool one_to_one(const Pool& p) {
  const bool apart = p.stride_h >= p.k_h && p.stride_w >= p.k_w;
  const bool before = p.pad_top > 0 || p.pad_left > 0;
  const bool after = (p.out_h - 1) * p.stride_h + p.k_h > p.in_h || (p.out_w - 1) * p.stride_w + p.k_w > p.in_w;
  return apart && !before && !after;
}

// Is (iy, ix) the first maximum of the window, in row-major order?
bool is_first_maximum(const Pool& p, const Window& w, const int8_t* x, int32_t iy, int32_t ix) {
  const int32_t best = x[(iy * p.in_w + ix) * p.channels];
  for (int32_t y = w.y0; y < w.y1; ++y) {
    for (int32_t i = w.x0; i < w.x1; ++i) {
      const int32_t v = x[(y * p.in_w + i) * p.channels];
      const bool earlier = y < iy || (y == iy && i < ix);
      if (v > best || (v == best && earlier)) return false;
    }
  }
  return true;
}

// Windows apart and whole: each gives its gradient to one pixel.
void max_pool_apart(const Pool& p, const int8_t* x, const int16_t* g_y, int16_t* g_x) {
  const int32_t row = p.in_w * p.channels;
  memset(g_x, 0, sizeof(int16_t) * static_cast<size_t>(p.in_h * row));
  for (int32_t oy = 0; oy < p.out_h; ++oy) {
    for (int32_t ox = 0; ox < p.out_w; ++ox) {
      const int32_t corner = oy * p.stride_h * row + ox * p.stride_w * p.channels;
      for (int32_t c = 0; c < p.channels; ++c) {
        int32_t best = -129, where = 0;
        for (int32_t ky = 0; ky < p.k_h; ++ky) {
          for (int32_t kx = 0, at = corner + ky * row + c; kx < p.k_w; ++kx, at += p.channels) {
            if (x[at] > best) best = x[at], where = at;
          }
        }
        g_x[where] = *g_y++;
      }
    }
  }
}

}  // namespace

void average_pool_input_grad_s16(const Pool& pool, const int16_t* factor, const int16_t* exponent,
                                 const int16_t* g_y, int16_t e_y, int16_t* g_x, GradScale& s) {
  const Pool p = pool;
  const int32_t whole = exponent[p.k_h * p.k_w - 1];
  const auto term = [&p, factor, exponent, g_y, whole](int32_t, int32_t, int32_t oy, int32_t ox, int32_t c) {
    const int32_t at = window_of(p, oy, ox).count() - 1;
    const int32_t part = rshift(g_y[(oy * p.out_w + ox) * p.channels + c] * factor[at], 15);
    return part * (1 << (exponent[at] - whole));
  };
  const auto pass = [&](int32_t shift) { return gather_pass(p, shift, g_x, term); };
  if (one_to_one(p)) {
    pass(0);
    s.exponent = static_cast<int16_t>(e_y + whole);
  } else {
    apply_shift_rule(s, e_y + whole, pass);
  }
}

void max_pool_input_grad_s16(const Pool& pool, const int8_t* x, const int16_t* g_y, int16_t e_y, int16_t* g_x,
                             GradScale& s) {
  const Pool p = pool;
  const auto term = [&p, x, g_y](int32_t iy, int32_t ix, int32_t oy, int32_t ox, int32_t c) {
    const bool first = is_first_maximum(p, window_of(p, oy, ox), x + c, iy, ix);
    return first ? int32_t{g_y[(oy * p.out_w + ox) * p.channels + c]} : 0;
  };
  if (one_to_one(p)) {
    max_pool_apart(p, x, g_y, g_x);
    s.exponent = e_y;
  } else {
    apply_shift_rule(s, e_y, [&](int32_t shift) { return gather_pass(p, shift, g_x, term); });
  }
}

void mean_input_grad_s16(int16_t factor, int16_t exponent, const int16_t* g_y, int16_t e_y, const Reduce& shape,
                         int16_t* g_x, GradScale& s) {
  const Reduce r = shape;
  for (int32_t o = 0; o < r.outer; ++o, g_y += r.middle * r.inner) {
    for (int32_t f = 0; f < r.first; ++f) {
      for (int32_t m = 0; m < r.middle; ++m) {
        const int16_t* row = g_y + m * r.inner;
        for (int32_t i = 0; i < r.second; ++i) {
          for (int32_t c = 0; c < r.inner; ++c) *g_x++ = saturate_s16(rshift(row[c] * factor, 15));
        }
      }
    }
  }
  s.exponent = static_cast<int16_t>(e_y + exponent);
}

void pad_input_grad_s16(const Pad& p, const int16_t* g_y, int16_t* g_x) {
  for (int32_t iy = 0; iy < p.in_h; ++iy) {
    const int16_t* row = g_y + ((iy + p.top) * p.out_w + p.left) * p.out_c + p.front;
    for (int32_t ix = 0; ix < p.in_w; ++ix, g_x += p.in_c, row += p.out_c) {
      memcpy(g_x, row, sizeof(int16_t) * static_cast<size_t>(p.in_c));
    }
  }
}

void move_input_grad_s16(const Strided& p, const int16_t* g_y, int16_t e_y, int32_t bits, int32_t n, int16_t* g_x,
                         GradScale& s) {
  memset(g_x, 0, sizeof(int16_t) * static_cast<size_t>(n));
  for_each_run(p, [&](int32_t to) {
    for (int32_t i = 0; i < p.size[5]; ++i, to += p.stride[5]) {
      g_x[to] = static_cast<int16_t>(g_x[to] + rshift(*g_y++, bits));
    }
  });
  s.exponent = static_cast<int16_t>(e_y + bits);
}

void concatenation_input_grad_s16(const int16_t* g_y, int32_t outer, int32_t inner, int32_t total,
                                  int32_t offset, int16_t* g_x) {
  for (int32_t i = 0; i < outer; ++i) {
    memcpy(g_x + i * inner, g_y + i * total + offset, sizeof(int16_t) * static_cast<size_t>(inner));
  }
}

}  // namespace tfodl
