#include "tfodl/detail/cold.h"
#include <string.h>

#include "tfodl/dsp/dsp.h"
#include "tfodl/gradient.h"
#include "tfodl/detail/inner.h"
#include "tfodl/detail/shift_rule.h"

namespace tfodl {
namespace {

// Prepared gradients of the last k_h output rows, then the sums of input pixels.
struct Scratch {
  int16_t* prepared;
  int32_t* sums;
};

Scratch split(void* scratch, int32_t prepared) {
  int16_t* first = static_cast<int16_t*>(scratch);
  return {first, reinterpret_cast<int32_t*>(first + ((prepared + 1) & ~1))};
}

// Output position that tap k reads input `i` for, or -1.
int32_t output_of(int32_t i, int32_t pad, int32_t k, int32_t stride, int32_t n) {
  const int32_t at = i + pad - k;
  if (at < 0 || at % stride) return -1;
  return at / stride < n ? at / stride : -1;
}

// Channels first .. first + n - 1.
struct Channels {
  int32_t first, n;
};

// Walks over the channels `in` of the input map, which need `out` of the output's; `add(tap, grad, sums)` adds one tap
// of one output pixel. A row of g_y is read before the row of g_x with its number is written.
template <class Add>
uint32_t input_grad_pass(const Conv& p, const ConvGrad& q, const int16_t* g_y, const uint8_t* mask, int32_t shift,
                         int16_t* g_x, Scratch scratch, Channels out, Channels in, Add add) {
  const ConvGrad part = {q.scale + out.first, q.exponent, q.headroom};
  const int32_t row = p.out_w * out.n;
  int32_t ready = 0;  // output rows prepared so far
  uint32_t bits = 0;
  g_x += in.first;
  for (int32_t iy = 0; iy < p.in_h; ++iy) {
    for (; ready < p.out_h && ready * p.stride_h <= iy + p.pad_top; ++ready) {
      int16_t* to = scratch.prepared + (ready % p.k_h) * row;
      for (int32_t ox = 0; ox < p.out_w; ++ox, to += out.n) {
        const int32_t at = (ready * p.out_w + ox) * p.out_c + out.first;
        prepare_grad_s16(g_y + at, out.n, part, mask, at, to);
      }
    }
    for (int32_t ix = 0; ix < p.in_w; ++ix, g_x += p.in_c) {
      memset(scratch.sums, 0, sizeof(int32_t) * static_cast<size_t>(in.n));
      for (int32_t ky = 0; ky < p.k_h; ++ky) {
        const int32_t oy = output_of(iy, p.pad_top, ky, p.stride_h, p.out_h);
        for (int32_t kx = 0; oy >= 0 && kx < p.k_w; ++kx) {
          const int32_t ox = output_of(ix, p.pad_left, kx, p.stride_w, p.out_w);
          if (ox >= 0) add(ky * p.k_w + kx, scratch.prepared + (oy % p.k_h) * row + ox * out.n, scratch.sums);
        }
      }
      bits |= narrow_s32(scratch.sums, in.n, shift, g_x);
    }
  }
  return bits;
}

// A few channels of a depthwise layer after the other.
uint32_t depthwise_rows(const Conv& p, const ConvGrad& q, const int16_t* g_y, const uint8_t* mask, int32_t shift,
                        int16_t* g_x, void* scratch) {
  uint32_t bits = 0;
  if (dsp::depthwise_input_grad_s16(p, q, g_y, mask, shift, g_x, scratch, &bits)) return bits;
  for (int32_t first = 0; first < p.in_c; first += kGradChannels) {
    const Channels some = {first, p.in_c - first < kGradChannels ? p.in_c - first : kGradChannels};
    const auto add = [&](int32_t tap, const int16_t* __restrict grad, int32_t* __restrict sums) {
      const int8_t* __restrict w = p.weights + tap * p.in_c + first;
      for (int32_t c = 0; c < some.n; ++c) sums[c] += grad[c] * w[c];
    };
    const Scratch parts = split(scratch, p.k_h * p.out_w * some.n);
    bits |= input_grad_pass(p, q, g_y, mask, shift, g_x, parts, some, some, add);
  }
  return bits;
}

uint32_t pointwise_pass(const Conv& p, const ConvGrad& q, const int16_t* g_y, const uint8_t* mask,
                        int32_t shift, int16_t* g_x, Scratch scratch) {
  const int32_t positions = p.out_h * p.out_w;
  uint32_t bits = 0;
  for (int32_t i = 0; i < positions; i += 2) {
    const int32_t pixels = i + 1 < positions ? 2 : 1;
    for (int32_t j = 0; j < pixels; ++j) {
      const int32_t at = (i + j) * p.out_c;
      prepare_grad_s16(g_y + at, p.out_c, q, mask, at, scratch.prepared + j * p.out_c);
    }
    memset(scratch.sums, 0, sizeof(int32_t) * static_cast<size_t>(pixels * p.in_c));
    add_weighted_rows_s8(p, 0, scratch.prepared, pixels, scratch.sums);
    bits |= narrow_s32(scratch.sums, pixels * p.in_c, shift, g_x + i * p.in_c);
  }
  return bits;
}

}  // namespace

void conv_input_grad_s16(const Conv& conv, const ConvGrad& q, const int16_t* g_y, int16_t e_y,
                         const uint8_t* mask, int16_t* g_x, GradScale& s, void* scratch) {
  const Conv p = conv;
  const Scratch parts = split(scratch, p.k_h * p.out_w * p.out_c);
  const auto add = [&p](int32_t tap, const int16_t* grad, int32_t* sums) {
    add_weighted_rows_s8(p, tap, grad, 1, sums);
  };
  apply_shift_rule(s, e_y + q.exponent, [&](int32_t shift) {
    return input_grad_pass(p, q, g_y, mask, shift, g_x, parts, {0, p.out_c}, {0, p.in_c}, add);
  });
}

void pointwise_input_grad_s16(const Conv& conv, const ConvGrad& q, const int16_t* g_y, int16_t e_y,
                              const uint8_t* mask, int16_t* g_x, GradScale& s, void* scratch) {
  const Conv p = conv;
  const Scratch parts = split(scratch, 2 * p.out_c);
  apply_shift_rule(s, e_y + q.exponent, [&](int32_t shift) {
    if (TFODL_DSP) return dsp::pointwise_input_grad_s16(p, q, g_y, mask, shift, g_x, scratch);
    return pointwise_pass(p, q, g_y, mask, shift, g_x, parts);
  });
}

void fully_connected_input_grad_s16(const Conv& p, const ConvGrad& q, const int16_t* g_y, int16_t e_y,
                                    const uint8_t* mask, int16_t* g_x, GradScale& s, void* scratch) {
  pointwise_input_grad_s16(p, q, g_y, e_y, mask, g_x, s, scratch);
}

void depthwise_input_grad_s16(const Conv& conv, const ConvGrad& q, const int16_t* g_y, int16_t e_y,
                              const uint8_t* mask, int16_t* g_x, GradScale& s, void* scratch) {
  const Conv p = conv;
  apply_shift_rule(s, e_y + q.exponent,
                   [&](int32_t shift) { return depthwise_rows(p, q, g_y, mask, shift, g_x, scratch); });
}

bool depthwise_input_grad_over_s16(const Conv& conv, const ConvGrad& q, int16_t* g, int16_t e_y, const uint8_t* mask,
                                   GradScale& s, void* scratch) {
  const Conv p = conv;
  return try_shift(s, e_y + q.exponent,
                   [&](int32_t shift) { return depthwise_rows(p, q, g, mask, shift, g, scratch); });
}

}  // namespace tfodl
