// Input gradients of depthwise layers for the DSP extension. The prepared gradients of 4 channels are laid out as
// planes, in a row `stride` apart with zeros between, which the kernels turned by 180 degrees filter. Of their rows
// every row of inputs meets each `stride`th.
#include "tfodl/detail/cold.h"
#include "tfodl/dsp/rows_dsp.h"

#if TFODL_DSP
#include "tfodl/dsp/prepare_dsp.h"
#include "tfodl/detail/tile.h"

namespace tfodl {
namespace dsp {
namespace {

struct Layer {
  const Conv& p;
  const ConvGrad& q;
  const int16_t* g_y;
  const uint8_t* mask;
  int32_t shift;
  int32_t left;  // plane columns before the first output
  RowsShape shape;
  int16_t* planes;    // [kRowsChannels][plane_halves]
  int32_t plane_halves;
  uint32_t* kernels;  // [kRowsChannels][kernel_words]
};

// One row of outputs of the channels c .. c + 3, to `to` in the first plane.
void spread_row(const Layer& layer, int32_t c, int32_t at, int16_t* to) {
  const Conv& p = layer.p;
  const Prepare prepare(layer.q);
  const int16_t *g = layer.g_y + at, *scale = layer.q.scale + c;
  const uint8_t* bytes = layer.mask ? layer.mask + (at >> 3) : reinterpret_cast<const uint8_t*>(g);
  const SpreadBlock block = {layer.mask ? kMasked : kUnmasked, 2 * p.stride_w, c & 7, g, bytes, to, p.out_w,
                             2 * p.out_c, {load_word(scale), load_word(scale + 2)}, prepare.half, prepare.shift,
                             2 * layer.plane_halves};
  tfodl_spread_fours(&block);
}

// One channel of it.
void spread_channel(const Layer& layer, int32_t c, int32_t at, int16_t* to) {
  const Conv& p = layer.p;
  const Prepare prepare(layer.q);
  for (int32_t ox = 0; ox < p.out_w; ++ox, at += p.out_c, to += p.stride_w) {
    const bool pass = !layer.mask || get_bit(layer.mask, at);
    *to = static_cast<int16_t>(pass ? prepare(layer.g_y[at], layer.q.scale[c]) : 0);
  }
}

// Rows of outputs that are in the planes, some of them perhaps beyond the map: 0.
struct Range {
  int32_t first, end;
};

// The last row of outputs that reads row `iy` of the input, or one above it would: rounded down.
int32_t last_reader(const Conv& p, int32_t iy) { return (iy + p.pad_top) / p.stride_h; }
int32_t taps_of(const Conv& p, int32_t iy) {  // of this row of inputs
  return (p.k_h - 1 - (iy + p.pad_top) % p.stride_h) / p.stride_h + 1;
}

__attribute__((noinline)) void fill_planes(const Layer& layer, int32_t c, Range rows) {
  const Conv& p = layer.p;
  const int32_t first = rows.first > 0 ? rows.first : 0, end = rows.end < p.out_h ? rows.end : p.out_h;
  for (int32_t oy = first; oy < end; ++oy) {
    const int32_t at = oy * p.out_w * p.out_c + c;
    int16_t* to = layer.planes + (oy - rows.first) * 2 * layer.shape.row_words + layer.left;
    if (p.out_c % 8 == 0) {
      spread_row(layer, c, at, to);
    } else {
      for (int32_t i = 0; i < kRowsChannels; ++i) spread_channel(layer, c + i, at + i, to + i * layer.plane_halves);
    }
  }
}

constexpr int32_t kMostPhases = 2;  // rows of inputs that meet different taps

// Rows iy, iy + stride, ... of a band of the input gradient.
struct Phase {
  int32_t taps, last_weight;  // rows of the kernel that they meet, the last weight of these
  const uint32_t* x;          // of the last channel's plane
  int16_t* g_x;
  RowsBlock block;
};

Phase phase_at(const Layer& layer, int32_t iy, int32_t end, Range rows, int16_t* g_x) {
  const Conv& p = layer.p;
  const int32_t taps = taps_of(p, iy), row = p.in_w * p.in_c, first = (iy + p.pad_top) % p.stride_h;
  const int32_t above = taps < p.k_h, top = last_reader(p, iy) - (taps - 1) - rows.first - above;
  const int32_t plane = (kRowsChannels - 1) * layer.shape.plane_words;
  Phase phase = {taps, ((first + (taps - 1) * p.stride_h) * p.k_w + p.k_w - 1) * p.in_c,
                 reinterpret_cast<uint32_t*>(layer.planes) + plane + top * layer.shape.row_words, g_x + iy * row,
                 rows_block(layer.shape, taps, RowsEnd::kNarrow, 2 * p.in_c, 2 * p.stride_h * row)};
  phase.block.rows = (end - iy + p.stride_h - 1) / p.stride_h;
  return phase;
}

// Channels c .. c + 3; bits as for the pass.
__attribute__((noinline)) uint32_t filter_phase(const Layer& layer, Phase& phase, int32_t c) {
  const Conv& p = layer.p;
  const int32_t row = -p.stride_h * p.k_w * p.in_c, last = kRowsChannels - 1;
  fill_kernels(p.weights + phase.last_weight + c, -p.in_c, row, phase.taps, layer.shape, 1, layer.kernels);
  RowsFactors factors[kRowsChannels];
  for (RowsFactors& f : factors) f = {0, layer.shift, 1, 0, 0, 0};
  RowsBlock& block = phase.block;
  block.x = phase.x;
  block.weights = layer.kernels + last * layer.shape.kernel_words;
  block.factors = factors + last;
  block.y = phase.g_x + c + last;
  block.channels = kRowsChannels;
  tfodl_rows(&block);
  uint32_t bits = 0;
  for (const RowsFactors& f : factors) bits |= static_cast<uint32_t>(f.offset);
  return bits;
}

__attribute__((noinline)) uint32_t filter_bands(const Layer& layer, int32_t out_rows, int16_t* g_x) {
  const Conv& p = layer.p;
  uint32_t bits = 0;
  for (int32_t iy = 0; iy < p.in_h; iy += out_rows) {
    const int32_t end = p.in_h - iy < out_rows ? p.in_h : iy + out_rows;
    const int32_t phases = end - iy < p.stride_h ? end - iy : p.stride_h;
    const Range rows = {last_reader(p, iy) - (taps_of(p, iy) - 1), last_reader(p, end - 1) + 1};
    Phase phase[kMostPhases];
    for (int32_t i = 0; i < phases; ++i) phase[i] = phase_at(layer, iy + i, end, rows, g_x);
    fill_words(reinterpret_cast<uint32_t*>(layer.planes), kRowsChannels * layer.shape.plane_words, 0);
    for (int32_t next = 0; next < p.in_c; next += kRowsChannels) {
      const int32_t c = next + kRowsChannels <= p.in_c ? next : p.in_c - kRowsChannels;
      fill_planes(layer, c, rows);
      for (int32_t i = 0; i < phases; ++i) bits |= filter_phase(layer, phase[i], c);
    }
  }
  return bits;
}

// Kernels k wide.
template <int k>
__attribute__((noinline)) uint32_t with_kernels(Layer& layer, int32_t out_rows, int16_t* g_x) {
  uint32_t kernels[kRowsChannels * k * (k - 1)];
  layer.kernels = kernels;
  return filter_bands(layer, out_rows, g_x);
}

bool takes(const Conv& p) {
  const bool square = p.k_h == p.k_w && (p.k_w == 3 || p.k_w == 5 || p.k_w == 7);
  return square && p.stride_h <= kMostPhases && p.in_c >= kRowsChannels;
}

// Does the last output lie within the plane? Otherwise some of it serves no input pixel.
bool fits(const Conv& p, const Layer& layer) {
  return layer.left >= 0 && layer.left + (p.out_w - 1) * p.stride_w < 2 * layer.shape.row_words;
}

}  // namespace

bool depthwise_input_grad_s16(const Conv& p, const ConvGrad& q, const int16_t* g_y, const uint8_t* mask,
                              int32_t shift, int16_t* g_x, void* scratch, uint32_t* bits) {
  if (!takes(p)) return false;
  const DepthwiseBand size = depthwise_grad_band(p);
  const int32_t words = size.in_rows * size.row_words;
  const RowsShape shape = {p.k_w, 1, 1, p.in_w, size.row_words, words, p.k_h * row_kernel_words(p.k_w, 1)};
  Layer layer = {p, q, g_y, mask, shift, p.k_w - 1 - p.pad_left, shape, static_cast<int16_t*>(scratch),
                       2 * words, nullptr};
  if (!fits(p, layer)) return false;
  const auto pass = p.k_w == 3 ? with_kernels<3> : p.k_w == 5 ? with_kernels<5> : with_kernels<7>;
  *bits = pass(layer, size.out_rows, g_x) >> 1;
  return true;
}

}  // namespace dsp
}  // namespace tfodl
#endif
