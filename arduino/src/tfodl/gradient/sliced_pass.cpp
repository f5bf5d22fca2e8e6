#include "tfodl/detail/cold.h"
#include "tfodl/detail/sliced_pass.h"
#include "tfodl/detail/fixed_point.h"
#include "tfodl/detail/inner.h"
#include "tfodl/dsp/dsp.h"
#include "tfodl/support.h"

namespace tfodl {
namespace {

// 0, 1, ...: where the columns of a slice lie among those of the whole layer, from the slice's first on.
struct Ascending {
  int16_t values[kSliceChannels];
  constexpr Ascending() : values() {
    for (int32_t i = 0; i < kSliceChannels; ++i) values[i] = static_cast<int16_t>(i);
  }
};
constexpr Ascending kAscending;

// A pointwise layer of which `p` has some columns, `wide` apart: for the DSP path as trained ones, which may lie so.
Conv columns_apart(const Conv& part, int32_t wide) {
  Conv p = part;
  p.columns = kAscending.values;
  p.n_columns = static_cast<int16_t>(wide);
  p.trained = const_cast<int8_t*>(p.weights);
  return p;
}

// g_x [n] of a pixel.
uint32_t project_pixel(const Conv& p, int32_t wide, const int16_t* prepared, int32_t shift, int16_t* g_x) {
  uint32_t bits = 0;
  for (int32_t c = 0; c < p.in_c; ++c) {
    int32_t sum = 0;
    for (int32_t co = 0; co < p.out_c; ++co) sum += prepared[co] * p.weights[co * wide + c];
    bits |= narrow_s32(&sum, 1, shift, g_x + c);
  }
  return bits;
}

// g_x [pixels][n].
uint32_t project_pixels(const Conv& p, int32_t wide, const ConvGrad& q, const int16_t* g_y, const uint8_t* mask,
                        int32_t shift, int16_t* g_x, void* scratch) {
  if (TFODL_DSP) return dsp::pointwise_input_grad_s16(columns_apart(p, wide), q, g_y, mask, shift, g_x, scratch);
  int16_t* prepared = static_cast<int16_t*>(scratch);
  uint32_t bits = 0;
  for (int32_t i = 0; i < p.out_w; ++i) {
    prepare_grad_s16(g_y + i * p.out_c, p.out_c, q, mask, i * p.out_c, prepared);
    bits |= project_pixel(p, wide, prepared, shift, g_x + i * p.in_c);
  }
  return bits;
}

uint32_t project_prepared(const Conv& p, int32_t wide, int16_t* prepared, int32_t shift, int16_t* g_x, void* scratch) {
  if (TFODL_DSP) return dsp::prepared_input_grad_s16(columns_apart(p, wide), prepared, shift, g_x, scratch);
  uint32_t bits = 0;
  for (int32_t i = 0; i < p.out_h * p.out_w; ++i) {
    bits |= project_pixel(p, wide, prepared + i * p.out_c, shift, g_x + i * p.in_c);
  }
  return bits;
}

void add_pixels(const Conv& p, const ConvGrad& q, const int16_t* g_y, const uint8_t* mask, int32_t* sums,
                void* scratch) {
  if (TFODL_DSP) return dsp::pointwise_add_sums(p, q, g_y, mask, sums, scratch);
  int16_t* prepared = static_cast<int16_t*>(scratch);
  for (int32_t i = 0; i < p.out_w; ++i) {
    prepare_grad_s16(g_y + i * p.out_c, p.out_c, q, mask, i * p.out_c, prepared);
    add_weighted_rows_s8(p, 0, prepared, 1, sums + i * p.in_c);
  }
}

// sums [n] of g [positions][n] under the mask.
void sum_channels(const int16_t* g, const uint8_t* mask, int32_t positions, int32_t n, int32_t* sums) {
  for (int32_t c = 0; c < n; c += 8, sums += 8) {
    if (TFODL_DSP && mask) {
      dsp::tfodl_sum_eight(g + c, mask + (c >> 3), 2 * n, g + positions * n + c, sums);
      continue;
    }
    memset(sums, 0, 8 * sizeof *sums);
    for (int32_t i = 0, at = c; i < positions; ++i, at += n) {
      for (int32_t j = 0; j < 8; ++j) sums[j] += !mask || get_bit(mask, at + j) ? g[at + j] : 0;
    }
  }
}

// The sum of input pixel (iy, ix) of channel c; `plane` has its prepared gradients.
int32_t depthwise_sum(const Conv& p, const int16_t* plane, int32_t c, int32_t iy, int32_t ix) {
  int32_t sum = 0;
  for (int32_t ky = 0; ky < p.k_h; ++ky) {
    const int32_t y = iy + p.pad_top - ky;
    if (y < 0 || y % p.stride_h || y / p.stride_h >= p.out_h) continue;
    for (int32_t kx = 0; kx < p.k_w; ++kx) {
      const int32_t x = ix + p.pad_left - kx;
      if (x < 0 || x % p.stride_w || x / p.stride_w >= p.out_w) continue;
      sum += plane[y / p.stride_h * p.out_w + x / p.stride_w] * p.weights[(ky * p.k_w + kx) * p.in_c + c];
    }
  }
  return sum;
}

}  // namespace

SlicedPass::SlicedPass(const Bottleneck& b, int16_t* g_y, const SlicedMemory& memory)
    : first(0), n(0), expand(*b.expand.conv), depthwise(*b.depthwise.conv), outer_mask(nullptr), inner_mask(nullptr),
      b_(b), g_y_(g_y) {
  const Conv &d = depthwise, &p = *b.project.conv;
  const int32_t most = b.channels, outside = d.out_h * d.out_w, inside = d.in_h * d.in_w;
  Parts scratch(memory.scratch), parts(memory.slices);
  kernels = scratch.take<void>(sliced_kernels_bytes(expand, d, p, most, b.pixels, memory.columns));
  project_factors_ = scratch.take<int16_t>(2 * p.out_c);
  depthwise_factors_ = scratch.take<int16_t>(2 * most);
  expand_factors_ = scratch.take<int16_t>(2 * most);
  rates = scratch.take<float>(4 * most);
  outer = parts.take<int16_t>(2 * slice_size(d.out_h, d.out_w, most));
  inner = slices_in_place(d) ? outer : parts.take<int16_t>(2 * slice_size(d.in_h, d.in_w, most));
  outer_bits_ = parts.take<uint8_t>(outside * most / 8);
  inner_bits_ = parts.take<uint8_t>(inside * most / 8);
  weights_ = parts.take<int8_t>(d.k_h * d.k_w * most);
  factors(b.project, p, project_factors_);
}

void SlicedPass::factors(const SlicedLayer& layer, const Conv& part, int16_t* m) {
  grad_factors(part, layer.multiplier, layer.shift, m);
}

void SlicedPass::prepare() {
  if (b_.pixels > 0) return;
  const SlicedLayer& layer = b_.project;
  const Conv& p = *layer.conv;
  const ConvGrad q = {project_factors_, layer.exponent, layer.headroom};
  if (TFODL_DSP) return dsp::prepare_pairs(p, q, g_y_, layer.mask, kernels);
  int16_t* pixel = static_cast<int16_t*>(kernels);
  for (int32_t i = 0; i < p.out_h * p.out_w; ++i) {
    int16_t* g = g_y_ + i * p.out_c;
    prepare_grad_s16(g, p.out_c, q, layer.mask, i * p.out_c, pixel);
    memcpy(g, pixel, sizeof *pixel * static_cast<size_t>(p.out_c));
  }
}

void SlicedPass::begin(int32_t c) {
  const Conv& d = *b_.depthwise.conv;
  const int32_t wide = d.in_c;
  first = c;
  n = wide - c < b_.channels ? wide - c : b_.channels;
  expand = outputs_of(*b_.expand.conv, c, n);
  depthwise = channels_of(d, c, n, weights_);
  factors(b_.depthwise, depthwise, depthwise_factors_);
  factors(b_.expand, expand, expand_factors_);
  if (b_.depthwise.mask) {
    gather_bytes(b_.depthwise.mask, d.out_h * d.out_w, wide / 8, c / 8, n / 8, outer_bits_);
    outer_mask = outer_bits_;
  }
  if (b_.expand.mask) {
    gather_bytes(b_.expand.mask, d.in_h * d.in_w, wide / 8, c / 8, n / 8, inner_bits_);
    inner_mask = inner_bits_;
  }
}

uint32_t SlicedPass::project(int32_t shift) {
  const SlicedLayer& layer = b_.project;
  const Conv& whole = *layer.conv;
  const int32_t positions = whole.out_h * whole.out_w, out_c = whole.out_c;
  const ConvGrad q = {project_factors_, layer.exponent, layer.headroom};
  uint32_t bits = 0;
  if (b_.pixels == 0) {
    Conv p = slice_of_inputs(whole, n);
    p.weights += first;
    return project_prepared(p, whole.in_c, g_y_, shift, outer, kernels);
  }
  for (int32_t i = 0, some; i < positions; i += some) {
    some = positions - i < b_.pixels ? positions - i : b_.pixels;
    Conv p = some_pixels(slice_of_inputs(whole, n), some);
    p.weights += first;
    const uint8_t* mask = layer.mask ? layer.mask + (i * out_c >> 3) : nullptr;
    bits |= project_pixels(p, whole.in_c, q, g_y_ + i * out_c, mask, shift, outer + i * n, kernels);
  }
  return bits;
}

uint32_t SlicedPass::filter(int32_t shift) {
  const ConvGrad q = {depthwise_factors_, b_.depthwise.exponent, b_.depthwise.headroom};
  uint32_t bits = 0;
  if (dsp::depthwise_input_grad_s16(depthwise, q, outer, outer_mask, shift, inner, kernels, &bits)) return bits;
  return filter_channels(q, shift);
}

// One channel after the other, from a copy: the result may take its place.
uint32_t SlicedPass::filter_channels(const ConvGrad& q, int32_t shift) {
  const Conv& p = depthwise;
  int16_t* plane = static_cast<int16_t*>(kernels);
  uint32_t bits = 0;
  for (int32_t c = 0; c < n; ++c) {
    const ConvGrad one = {q.scale + c, q.exponent, q.headroom};
    for (int32_t i = 0; i < p.out_h * p.out_w; ++i) {
      prepare_grad_s16(outer + i * n + c, 1, one, outer_mask, i * n + c, plane + i);
    }
    for (int32_t i = 0; i < p.in_h * p.in_w; ++i) {
      const int32_t sum = depthwise_sum(p, plane, c, i / p.in_w, i % p.in_w);
      bits |= narrow_s32(&sum, 1, shift, inner + i * n + c);
    }
  }
  return bits;
}

void SlicedPass::sum_outer(int32_t* sums) const {
  sum_channels(outer, outer_mask, depthwise.out_h * depthwise.out_w, n, sums);
}

void SlicedPass::sum_inner(int32_t* sums) const {
  sum_channels(inner, inner_mask, depthwise.in_h * depthwise.in_w, n, sums);
}

void SlicedPass::add(int32_t begin, int32_t end, int32_t* sums) {
  const ConvGrad q = {expand_factors_, b_.expand.exponent, b_.expand.headroom};
  for (int32_t i = begin, some; i < end; i += some) {
    some = end - i < kSlicePixels ? end - i : kSlicePixels;
    const uint8_t* mask = inner_mask ? inner_mask + (i * n >> 3) : nullptr;
    add_pixels(some_pixels(expand, some), q, inner + i * n, mask, sums + (i - begin) * expand.in_c, kernels);
  }
}

}  // namespace tfodl
