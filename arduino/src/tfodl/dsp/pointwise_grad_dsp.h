// A tile of prepared gradients and 4 columns of weights, for the two files that multiply them. Internal.
#ifndef TFODL_DSP_POINTWISE_GRAD_DSP_H
#define TFODL_DSP_POINTWISE_GRAD_DSP_H
#include "tfodl/dsp/block_dsp.h"

#if TFODL_DSP
#include "tfodl/dsp/prepare_dsp.h"
#include "tfodl/detail/tile.h"

// 4 columns of 4 * groups rows of `step` weights: pointwise_grad_dsp.cpp.
extern "C" void tfodl_widen_columns(const int8_t*, int32_t step, int32_t groups, uint32_t* to);

namespace tfodl {
namespace dsp {
namespace {

struct Layer {
  const Conv& p;
  const ConvGrad& q;
  const int16_t* g_y;
  const uint8_t* mask;
  int32_t shift;
  int32_t groups;     // of 4 output channels
  uint32_t* weights;  // 4 input channels
  uint32_t* pixels;   // the tile
};

// Pixel `at` of g_y as pixel r of a pair. Depth in its natural order here: {g[0], g[1]}, {g[2], g[3]}.
void prepare_pixel(const Layer& layer, int32_t at, int32_t r, uint32_t* to) {
  const int32_t out_c = layer.p.out_c, first = at * out_c;
  const Prepare prepare(layer.q);
  const int16_t *g = layer.g_y + first, *scale = layer.q.scale;
  to += 2 * r;
  if (out_c % 8 == 0) {
    const PrepareBlock block = {layer.mask ? kMasked : kUnmasked, prepare.half, prepare.shift, layer.mask != nullptr,
                                out_c >> 3};
    const uint8_t* bytes = layer.mask ? layer.mask + (first >> 3) : reinterpret_cast<const uint8_t*>(g);
    tfodl_prepare_eights(g, scale, bytes, to, &block);
    return;
  }
  int16_t* values = reinterpret_cast<int16_t*>(to);
  for (int32_t co = 0; co < 4 * layer.groups; ++co) {
    const bool pass = co < out_c && (!layer.mask || get_bit(layer.mask, first + co));
    values[8 * (co >> 2) + (co & 3)] = static_cast<int16_t>(pass ? prepare(g[co], scale[co]) : 0);
  }
}

// Where weight k of column r lies.
inline int32_t place(int32_t k, int32_t r) { return ((k >> 2) * kRows + r) * 4 + (k & 3); }

// Column r from group `first` on, from the weights of one input channel, `step` apart.
void put_column(const Layer& layer, const int8_t* w, int32_t step, int32_t r, int32_t first) {
  int16_t* to = reinterpret_cast<int16_t*>(layer.weights) + place(4 * first, r);
  int32_t left = layer.p.out_c - 4 * first;
  w += 4 * first * step;
  for (; left >= 4; left -= 4, to += 4 * kRows) {
    for (int32_t i = 0; i < 4; ++i, w += step) to[i] = *w;
  }
  for (int32_t i = 0; i < 4 && left > 0; ++i, w += step) to[i] = i < left ? *w : int16_t{0};
}

// The trained rows over their first values.
void put_rows(const Layer& layer, int32_t ci, int32_t columns) {
  const Conv& p = layer.p;
  int16_t* to = reinterpret_cast<int16_t*>(layer.weights);
  for (int32_t co = 0; co < p.out_c; ++co) {
    const int8_t* w = p.trained + p.slot[co] * p.in_c + ci;
    for (int32_t r = 0; p.slot[co] >= 0 && r < columns; ++r) to[place(co, r)] = w[r];
  }
}

// Up to 4 columns of the weights from ci on. `trained`: trained columns before ci, kept from call to call.
void fill_weights(const Layer& layer, int32_t ci, int32_t columns, int32_t& trained) {
  const Conv& p = layer.p;
  if (p.columns) {
    while (trained > 0 && p.columns[trained - 1] >= ci) --trained;
    while (trained < p.n_columns && p.columns[trained] < ci) ++trained;
  }
  const bool all_trained = p.columns && trained + columns <= p.n_columns &&
                           p.columns[trained + columns - 1] == ci + columns - 1;
  const int8_t* first = all_trained ? p.trained + trained : p.weights + ci;
  const int32_t step = all_trained ? p.n_columns : p.in_c, whole = columns == kRows ? p.out_c >> 2 : 0;
  if (whole > 0) tfodl_widen_columns(first, step, whole, layer.weights);
  for (int32_t r = 0; whole < layer.groups && r < columns; ++r) put_column(layer, first + r, step, r, whole);
  if (p.slot) put_rows(layer, ci, columns);
  for (int32_t j = trained; p.columns && !all_trained && j < p.n_columns && p.columns[j] < ci + columns; ++j) {
    put_column(layer, p.trained + j, p.n_columns, p.columns[j] - ci, 0);
  }
}

// A tile of n pixels from `first` on: pair j is its pixels j and j + n / 2.
inline void prepare_tile(const Layer& layer, int32_t first, int32_t n) {
  const int32_t words = 4 * layer.groups;
  for (int32_t j = 0; 2 * j < n; ++j) {
    prepare_pixel(layer, first + j, 0, layer.pixels + j * words);
    prepare_pixel(layer, first + j + n / 2, 1, layer.pixels + j * words);
  }
}

void start_from_0(const Layer& layer, const uint32_t* end, BlockStore way, Block& block) {
  block.set(layer.weights, layer.groups, end, way);
  for (int32_t& sum : block.start) sum = 0;
}

// The 8 sums of pair i, two of each column.
inline void sum_pair(const Layer& layer, int32_t i, int32_t* sums) {
  const uint32_t *pixels = layer.pixels + i * 4 * layer.groups, *end = pixels + 4 * layer.groups;
  SumsBlock block;
  start_from_0(layer, end, tfodl_store_sums, block);
  block.sums = sums;
  tfodl_block(&block, pixels);
}

// Where the pixels of pair i lie: i * step, and `distance` pixels further.
struct Pairs {
  int32_t count, distance, step;
};

// Columns ci .. ci + 3 of all pairs.
inline uint32_t narrow_pairs(const Layer& layer, int32_t ci, const Pairs& pairs, int16_t* g_x) {
  const int32_t pixel = 2 * layer.p.in_c;
  NarrowBlock block;
  start_from_0(layer, layer.pixels + pairs.count * 4 * layer.groups, tfodl_store_narrowed, block);
  block.y = g_x + ci;
  block.distance = pairs.distance * pixel;
  block.step = pairs.step * pixel;
  block.fraction = 1 << (32 - layer.shift);
  block.minus_one = -1;
  block.bits = 0;
  return tfodl_block(&block, layer.pixels);
}

// The same by way of the sums: fewer columns, shifts below 2.
inline uint32_t narrow_sums(const Layer& layer, int32_t ci, int32_t columns, const Pairs& pairs, int16_t* g_x) {
  int32_t sums[2 * kRows];
  uint32_t bits = 0;
  for (int32_t i = 0; i < pairs.count; ++i) {
    sum_pair(layer, i, sums);
    for (int32_t k = 0; k < 2 * columns; ++k) {
      bits |= magnitude(sums[k]);
      const int32_t pixel = i * pairs.step + (k & 1 ? pairs.distance : 0);
      g_x[pixel * layer.p.in_c + ci + (k >> 1)] = saturate_s16(rshift(sums[k], layer.shift));
    }
  }
  return bits;
}

}  // namespace
}  // namespace dsp
}  // namespace tfodl
#endif

#endif  // TFODL_DSP_POINTWISE_GRAD_DSP_H
