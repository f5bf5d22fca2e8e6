// Input gradients in float32. Of a convolution: the gradients that reach 4 input pixels are gathered, scaled, into
// one table of (tap, output channel), and every 4 input channels go over it with 16 sums in registers.
#include "tfodl/float32/hot_f32.h"
#include "tfodl/gradient_f32.h"

namespace tfodl {
namespace {

constexpr int32_t kTogether = 4;  // pixels, and channels

// Output position that tap k reads input `i` for; not always one that exists. False: between two strides.
bool output_of(int32_t i, int32_t pad, int32_t k, int32_t stride, int32_t* out) {
  const int32_t at = i + pad - k;
  *out = at < 0 ? -((stride - 1 - at) / stride) : at / stride;
  return *out * stride == at;
}

// Weights by output channel: [k_h][k_w][channels] each.
struct WeightRows {
  const int8_t* frozen;
  const int16_t* slot;
  const int8_t* trained;
  int32_t row, channels;

  const int8_t* operator()(int32_t co) const {
    return slot && slot[co] >= 0 ? trained + slot[co] * row : frozen + co * row;
  }
};

// Input pixels x, x + stride, ... of row y: no more than lie in the map.
struct Pixels {
  int32_t y, x;
};

// The gradients over a group of pixels: for each tap that reads one of them, [out_c][kPixels].
template <int kPixels>
class Columns {
 public:
  Columns(const Conv& p, const float* scale, const float* g_y, void* scratch)
      : p_(p), scale_(scale), g_y_(g_y), grads_(static_cast<float*>(scratch)) {}

  void fill(Pixels at) {
    at_ = at;
    float* to = grads_;
    each_tap([&](int32_t, int32_t oy, int32_t ox) {
      for (int32_t j = 0; j < kPixels; ++j) {
        const bool inside = ox + j >= 0 && ox + j < p_.out_w;
        copy_scaled(inside ? g_y_ + (oy * p_.out_w + ox + j) * p_.out_c : nullptr, to + j);
      }
      to += kPixels * p_.out_c;
    });
  }

  // sums[c][j]: input channel c + ci of pixel j.
  template <int kChannels>
  void multiply(const WeightRows& rows, int32_t ci, float (&sums)[kChannels][kPixels]) const {
    const float* g = grads_;
    each_tap([&](int32_t tap, int32_t, int32_t) {
      for (int32_t co = 0; co < p_.out_c; ++co, g += kPixels) {
        const int8_t* w = rows(co) + tap * rows.channels + ci;
        for (int32_t c = 0; c < kChannels; ++c) {
          const float weight = w[c];
          for (int32_t j = 0; j < kPixels; ++j) sums[c][j] += g[j] * weight;
        }
      }
    });
  }

 private:
  // `visit(tap, oy, ox)` for the taps of rows inside the output map; ox, of the first pixel, may lie outside.
  template <class Visit>
  void each_tap(Visit visit) const {
    for (int32_t ky = 0; ky < p_.k_h; ++ky) {
      int32_t oy, ox;
      if (!output_of(at_.y, p_.pad_top, ky, p_.stride_h, &oy) || oy < 0 || oy >= p_.out_h) continue;
      for (int32_t kx = 0; kx < p_.k_w; ++kx) {
        if (!output_of(at_.x, p_.pad_left, kx, p_.stride_w, &ox)) continue;
        if (ox > -kPixels && ox < p_.out_w) visit(ky * p_.k_w + kx, oy, ox);
      }
    }
  }

  void copy_scaled(const float* g, float* to) const {
    for (int32_t co = 0; co < p_.out_c; ++co, to += kPixels) *to = g ? g[co] * scale_[co] : 0.0f;
  }

  const Conv& p_;
  const float* scale_;
  const float* g_y_;
  float* grads_;
  Pixels at_ = {0, 0};
};

template <int kChannels, int kPixels>
void multiply_store(const Conv& p, const Columns<kPixels>& columns, const WeightRows& rows, int32_t ci,
                    const int16_t* names, float* g_x) {
  float sums[kChannels][kPixels] = {};
  columns.multiply(rows, ci, sums);
  for (int32_t j = 0; j < kPixels; ++j) {
    for (int32_t c = 0; c < kChannels; ++c) {
      g_x[j * p.stride_w * p.in_c + (names ? names[ci + c] : ci + c)] = sums[c][j];
    }
  }
}

// The first `rows.channels` input channels, or those of these names.
template <int kPixels>
void multiply_rows(const Conv& p, const Columns<kPixels>& columns, const WeightRows& rows, const int16_t* names,
                   float* g_x) {
  int32_t ci = 0;
  for (; ci + kTogether <= rows.channels; ci += kTogether) {
    multiply_store<kTogether>(p, columns, rows, ci, names, g_x);
  }
  for (; ci < rows.channels; ++ci) multiply_store<1>(p, columns, rows, ci, names, g_x);
}

template <int kPixels>
__attribute__((noinline)) void group(const Conv& p, Columns<kPixels> columns, Pixels at, float* g_x) {
  const int32_t taps = p.k_h * p.k_w;
  columns.fill(at);
  g_x += (at.y * p.in_w + at.x) * p.in_c;
  multiply_rows(p, columns, {p.weights, p.columns ? nullptr : p.slot, p.trained, taps * p.in_c, p.in_c}, nullptr, g_x);
  if (!p.columns) return;
  multiply_rows(p, columns, {p.trained, nullptr, nullptr, taps * p.n_columns, p.n_columns}, p.columns, g_x);
}

// A pointwise layer sees one row of pixels.
Conv flattened(Conv p) {
  const bool pointwise = p.k_h == 1 && p.k_w == 1 && p.stride_h == 1 && p.stride_w == 1 && p.out_w == p.in_w;
  if (!pointwise || p.in_h * p.in_w > INT16_MAX) return p;
  p.in_w = p.out_w = static_cast<int16_t>(p.in_h * p.in_w);
  p.in_h = p.out_h = 1;
  return p;
}

// One tap over an input pixel: where its gradient and its weight of channel 0 are.
struct Tap {
  int32_t grad, weight;
};

template <int kChannels>
void depthwise_channels(const Tap* taps, int32_t n, const float* g, const int8_t* w, const float* scale, float* out) {
  float sums[kChannels] = {};
  for (int32_t t = 0; t < n; ++t) {
    for (int32_t c = 0; c < kChannels; ++c) sums[c] += g[taps[t].grad + c] * static_cast<float>(w[taps[t].weight + c]);
  }
  for (int32_t c = 0; c < kChannels; ++c) out[c] = sums[c] * scale[c];
}

int32_t find_taps(const Conv& p, int32_t iy, int32_t ix, Tap* taps) {
  int32_t n = 0, oy, ox;
  for (int32_t ky = 0; ky < p.k_h; ++ky) {
    if (!output_of(iy, p.pad_top, ky, p.stride_h, &oy) || oy < 0 || oy >= p.out_h) continue;
    for (int32_t kx = 0; kx < p.k_w; ++kx) {
      if (!output_of(ix, p.pad_left, kx, p.stride_w, &ox) || ox < 0 || ox >= p.out_w) continue;
      taps[n++] = {(oy * p.out_w + ox) * p.in_c, (ky * p.k_w + kx) * p.in_c};
    }
  }
  return n;
}

}  // namespace

void conv_input_grad_f32(const Conv& conv, const float* scale, const float* g_y, float* g_x, void* scratch) {
  const Conv p = flattened(conv);
  const Columns<kTogether> four(p, scale, g_y, scratch);
  const Columns<1> one(p, scale, g_y, scratch);
  for (int32_t iy = 0; iy < p.in_h; ++iy) {
    for (int32_t first = 0; first < p.stride_w; ++first) {
      int32_t ix = first;
      for (; ix + (kTogether - 1) * p.stride_w < p.in_w; ix += kTogether * p.stride_w) group(p, four, {iy, ix}, g_x);
      for (; ix < p.in_w; ix += p.stride_w) group(p, one, {iy, ix}, g_x);
    }
  }
}

void depthwise_input_grad_f32(const Conv& conv, const float* scale, const float* g_y, float* g_x, void* scratch) {
  const Conv p = conv;
  Tap* taps = static_cast<Tap*>(scratch);
  for (int32_t iy = 0; iy < p.in_h; ++iy) {
    for (int32_t ix = 0; ix < p.in_w; ++ix, g_x += p.in_c) {
      const int32_t n = find_taps(p, iy, ix, taps);
      int32_t c = 0;
      for (; c + kTogether <= p.in_c; c += kTogether) {
        depthwise_channels<kTogether>(taps, n, g_y + c, p.weights + c, scale + c, g_x + c);
      }
      for (; c < p.in_c; ++c) depthwise_channels<1>(taps, n, g_y + c, p.weights + c, scale + c, g_x + c);
    }
  }
}

}  // namespace tfodl
