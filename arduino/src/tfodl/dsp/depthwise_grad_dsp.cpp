// Input gradients of depthwise layers for the DSP extension. The prepared gradients of 4 channels are laid out as
// planes, `stride` apart with zeros between, which the kernels turned by 180 degrees filter.
#include "tfodl/dsp/hot_dsp.h"
#include "tfodl/dsp/rows_dsp.h"

#if TFODL_DSP
#include "tfodl/dsp/prepare_dsp.h"
#include "tfodl/detail/tile.h"

namespace tfodl {
namespace dsp {
namespace {

constexpr int32_t kChannels = 4;  // whose planes are filled together

struct Layer {
  const Conv& p;
  const ConvGrad& q;
  const int16_t* g_y;
  const uint8_t* mask;
  int32_t shift;
  int32_t top, left;  // plane rows and columns before the first output
  DepthwiseBand size;
  int16_t* planes;    // [kChannels][plane_halves]
  int32_t plane_halves;
  int32_t* sums;      // one row of quads
  RowsKernel sum;
  uint32_t (*narrow)(const NarrowRowsBlock*);
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

// The outputs of `n` channels from c on whose plane rows lie in first .. first + in_rows - 1 of the whole plane.
void fill_planes(const Layer& layer, int32_t c, int32_t n, int32_t first) {
  const Conv& p = layer.p;
  for (int32_t oy = 0; oy < p.out_h; ++oy) {
    const int32_t row = oy * p.stride_h + layer.top - first, at = oy * p.out_w * p.out_c + c;
    if (row < 0 || row >= layer.size.in_rows) continue;
    int16_t* to = layer.planes + row * 2 * layer.size.row_words + layer.left;
    if (p.out_c % 8 == 0) {
      spread_row(layer, c, at, to);
    } else {
      for (int32_t i = 0; i < n; ++i) spread_channel(layer, c + i, at + i, to + i * layer.plane_halves);
    }
  }
}

// A band of one channel by way of its sums: rows of any width, no shift.
uint32_t narrow_sums(const Layer& layer, const uint32_t* weights, const uint32_t* plane, int32_t rows, int16_t* g_x) {
  const Conv& p = layer.p;
  const int32_t row_bytes = 4 * layer.size.row_words, quads = layer.size.quads;
  RowsBlock block = {quads, nullptr, 0, 0, 0, 0, p.k_h * row_bytes - 8, weights, 0, quads, 0, 0, 1, plane, row_bytes,
                     weights + kernel_words(p.k_w, 1)};
  uint32_t bits = 0;
  for (int32_t r = 0; r < rows; ++r, block.x += layer.size.row_words) {
    block.y = layer.sums;
    layer.sum(&block);
    for (int32_t ix = 0; ix < p.in_w; ++ix) {
      bits |= magnitude(layer.sums[ix]);
      g_x[(r * p.in_w + ix) * p.in_c] = saturate_s16(rshift(layer.sums[ix], layer.shift));
    }
  }
  return bits;
}

// What all channels of a band of `rows` rows have in common.
NarrowRowsBlock block_of(const Layer& layer, const uint32_t* weights, int32_t rows) {
  const Conv& p = layer.p;
  const int32_t row_bytes = 4 * layer.size.row_words, quads = layer.size.quads;
  return {quads, nullptr, layer.shift - 1, 1, 0, 2 * p.in_c, p.k_h * row_bytes - 8, weights, 0, quads,
          row_bytes - 8 * quads, 0, rows, nullptr, row_bytes, weights + kernel_words(p.k_w, 1)};
}

// One channel of a band of g_x.
uint32_t filter_channel(const Layer& layer, NarrowRowsBlock& block, uint32_t* weights, const uint32_t* plane, int32_t c,
                        int16_t* g_x) {
  const Conv& p = layer.p;
  fill_kernel(p.weights + (p.k_h * p.k_w - 1) * p.in_c + c, -p.in_c, p.k_w, 1, 1, weights);
  if (layer.shift == 0 || p.in_w % 4 != 0) return narrow_sums(layer, weights, plane, block.rows, g_x + c);
  block.y = g_x + c;
  block.x = plane;
  return layer.narrow(&block);
}

bool takes(const Conv& p) {
  return p.k_h == p.k_w && (p.k_w == 3 || p.k_w == 5 || p.k_w == 7) && p.pad_top < p.k_h && p.pad_left < p.k_w;
}

// Does the last output lie within the plane? Otherwise some of it serves no input pixel.
bool fits(const Conv& p, const Layer& layer) {
  return layer.left + (p.out_w - 1) * p.stride_w < 2 * layer.size.row_words;
}

}  // namespace

bool depthwise_input_grad_s16(const Conv& p, const ConvGrad& q, const int16_t* g_y, const uint8_t* mask,
                              int32_t shift, int16_t* g_x, void* scratch, uint32_t* bits) {
  if (!takes(p)) return false;
  constexpr RowsKernel kSums[3] = {tfodl_rows_sums_3_1, tfodl_rows_sums_5_1, tfodl_rows_sums_7_1};
  constexpr uint32_t (*kNarrow[3])(const NarrowRowsBlock*) = {tfodl_rows_narrow_3, tfodl_rows_narrow_5,
                                                              tfodl_rows_narrow_7};
  const DepthwiseBand size = depthwise_grad_band(p);
  const int32_t words = size.in_rows * size.row_words, kind = (p.k_w - 3) >> 1;
  const int32_t together = p.in_c < kChannels ? p.in_c : kChannels;
  uint32_t* planes = static_cast<uint32_t*>(scratch);
  const Layer layer = {p, q, g_y, mask, shift, p.k_h - 1 - p.pad_top, p.k_w - 1 - p.pad_left, size,
                       reinterpret_cast<int16_t*>(planes), 2 * words,
                       reinterpret_cast<int32_t*>(planes + kChannels * words), kSums[kind], kNarrow[kind]};
  if (!fits(p, layer)) return false;
  *bits = 0;
  for (int32_t iy = 0; iy < p.in_h; iy += size.out_rows) {
    const int32_t rows = p.in_h - iy < size.out_rows ? p.in_h - iy : size.out_rows;
    uint32_t weights[49];
    NarrowRowsBlock block = block_of(layer, weights, rows);
    int16_t* const out = g_x + iy * p.in_w * p.in_c;
    fill_words(planes, kChannels * words, 0);
    for (int32_t next = 0; next < p.in_c; next += together) {
      const int32_t c = next + together <= p.in_c ? next : p.in_c - together;
      fill_planes(layer, c, together, iy);
      for (int32_t i = next - c; i < together; ++i) {
        *bits |= filter_channel(layer, block, weights, planes + i * words, c + i, out);
      }
    }
  }
  return true;
}

}  // namespace dsp
}  // namespace tfodl
#endif
