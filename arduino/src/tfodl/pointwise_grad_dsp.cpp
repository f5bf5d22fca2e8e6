// Input gradients of pointwise layers for the DSP extension: a tile of prepared gradients times pairs of weight
// columns, by the loop of block_dsp.cpp.
#include "hot_dsp.h"
#include "block_dsp.h"

#if TFODL_DSP
#include "prepare_dsp.h"
#include "tile.h"

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
  uint32_t* weights;  // two input channels
  uint32_t* pixels;   // the tile
};

// Pixel `at` of g_y as pixel r of a pair. Depth in its natural order here: {g[0], g[1]}, {g[2], g[3]}.
void prepare_pixel(const Layer& layer, int32_t at, int32_t r, uint32_t* to) {
  const int32_t out_c = layer.p.out_c;
  const Prepare prepare(layer.q);
  const int16_t *g = layer.g_y + at * out_c, *scale = layer.q.scale;
  int32_t co = 0;
  for (to += 2 * r; co + 4 <= out_c; co += 4, to += 4) {
    const uint32_t bits = four_bits(layer.mask, at * out_c + co);
    to[0] = halves(prepare(g[co], scale[co]) & all_or_nothing(bits, 0),
                   prepare(g[co + 1], scale[co + 1]) & all_or_nothing(bits, 1));
    to[1] = halves(prepare(g[co + 2], scale[co + 2]) & all_or_nothing(bits, 2),
                   prepare(g[co + 3], scale[co + 3]) & all_or_nothing(bits, 3));
  }
  if (co == out_c) return;
  int16_t rest[4] = {};
  for (int32_t i = 0; co < out_c; ++co, ++i) {
    const bool pass = !layer.mask || get_bit(layer.mask, at * out_c + co);
    rest[i] = static_cast<int16_t>(pass ? prepare(g[co], scale[co]) : 0);
  }
  memcpy(to, rest, sizeof rest);
}

const int8_t* row_of(const Conv& p, int32_t co) {
  return p.slot && p.slot[co] >= 0 ? p.trained + p.slot[co] * p.in_c : p.weights + co * p.in_c;
}

// {a[0], b[0]} and {a[1], b[1]}, widened: two columns of two rows.
inline void put_columns(const int8_t* a, const int8_t* b, uint32_t* to) {
  uint16_t first, second;
  memcpy(&first, a, 2);
  memcpy(&second, b, 2);
  const uint32_t bytes = low_halves(first, second);
  to[0] = widen_even(bytes, 0);
  to[2] = widen_odd(bytes, 0);
}

// Columns ci and ci + 1 of whole pairs of rows; returns the number of rows done.
int32_t fill_pairs(const Conv& p, int32_t ci, uint32_t* to) {
  const int32_t in_c = p.in_c, even = p.out_c & ~1;
  if (p.slot) {
    for (int32_t co = 0; co < even; co += 2) {
      put_columns(row_of(p, co) + ci, row_of(p, co + 1) + ci, to + 4 * (co >> 2) + ((co >> 1) & 1));
    }
    return even;
  }
  const int8_t* w = p.weights + ci;
  const int32_t whole = p.out_c & ~3;
  for (int32_t co = 0; co < whole; co += 4, to += 4, w += 4 * in_c) {
    put_columns(w, w + in_c, to);
    put_columns(w + 2 * in_c, w + 3 * in_c, to + 1);
  }
  return whole;
}

// The trained input channel that column r of the pair stands for, if it is one.
void put_trained(const Layer& layer, int32_t ci, int32_t r) {
  const Conv& p = layer.p;
  int32_t j = 0;
  while (j < p.n_columns && p.columns[j] != ci) ++j;
  if (j == p.n_columns) return;
  int16_t* to = reinterpret_cast<int16_t*>(layer.weights);
  const int8_t* w = p.trained + j;
  for (int32_t co = 0; co < p.out_c; ++co, w += p.n_columns) to[8 * (co >> 2) + 4 * r + (co & 3)] = *w;
}

void fill_weights(const Layer& layer, int32_t ci, int32_t columns) {
  const Conv& p = layer.p;
  int32_t done = 0;
  memset(layer.weights + 4 * (layer.groups - 1), 0, 16);
  if (columns == 2) done = fill_pairs(p, ci, layer.weights);
  int16_t* to = reinterpret_cast<int16_t*>(layer.weights);
  for (int32_t co = done; co < p.out_c; ++co) {
    const int8_t* w = row_of(p, co) + ci;
    for (int32_t r = 0; r < columns; ++r) to[8 * (co >> 2) + 4 * r + (co & 3)] = w[r];
  }
  for (int32_t r = 0; p.columns && r < columns; ++r) put_trained(layer, ci + r, r);
}

uint32_t narrow_pairs(const Layer& layer, int32_t ci, int32_t n, int16_t* g_x) {
  const int32_t words = 4 * layer.groups, stride = 2 * layer.p.in_c, distance = n / 2 * stride;
  const NarrowBlock block = {g_x + ci, 0, distance, layer.shift - 1, 1, stride - distance,
                             layer.pixels + (n + 1) / 2 * words, layer.weights, layer.weights + words, layer.pixels};
  return tfodl_block_narrow(&block);
}

// The same by way of the sums: one column, no shift.
uint32_t narrow_sums(const Layer& layer, int32_t ci, int32_t columns, int32_t n, int16_t* g_x) {
  const int32_t words = 4 * layer.groups, pairs = (n + 1) / 2;
  int32_t sums[4];
  uint32_t bits = 0;
  for (int32_t i = 0; i < pairs; ++i) {
    const uint32_t* pixels = layer.pixels + i * words;
    const SumBlock block = {sums, layer.weights, 0, 0, layer.weights + words, pixels, pixels + words};
    tfodl_block_sums(&block);
    for (int32_t k = 0; k < 4; ++k) {
      if ((k & 1) >= columns) continue;
      bits |= magnitude(sums[k]);
      const int32_t pixel = k < 2 ? i : i + n / 2;
      g_x[pixel * layer.p.in_c + ci + (k & 1)] = saturate_s16(rshift(sums[k], layer.shift));
    }
  }
  return bits;
}

// All input channels of a tile of n pixels. Where their number is odd the last two pairs overlap.
uint32_t multiply_tile(const Layer& layer, int32_t n, int16_t* g_x) {
  const int32_t in_c = layer.p.in_c, columns = in_c > 1 ? 2 : 1;
  uint32_t bits = 0;
  for (int32_t next = 0; next < in_c; next += 2) {
    const int32_t ci = next + columns <= in_c ? next : in_c - columns;
    fill_weights(layer, ci, columns);
    const bool short_way = columns == 2 && layer.shift > 0;
    bits |= short_way ? narrow_pairs(layer, ci, n, g_x) : narrow_sums(layer, ci, columns, n, g_x);
  }
  return bits;
}

}  // namespace

bool pointwise_input_grad_s16(const Conv& p, const ConvGrad& q, const int16_t* g_y, const uint8_t* mask,
                              int32_t shift, int16_t* g_x, void* scratch, uint32_t* bits) {
  const int32_t positions = p.out_h * p.out_w, groups = groups_of_4(p.out_c);
  if (positions == 1) return false;
  const int32_t tile = tile_pixels(p.out_c, positions), words = 4 * groups;
  uint32_t* weights = static_cast<uint32_t*>(scratch);
  const Layer layer = {p, q, g_y, mask, shift, groups, weights, weights + words};
  *bits = 0;
  for (int32_t i = 0; i < positions; i += tile) {
    const int32_t n = positions - i < tile ? positions - i : tile;
    for (int32_t j = 0; 2 * j < n; ++j) {
      prepare_pixel(layer, i + j, 0, layer.pixels + j * words);
      prepare_pixel(layer, i + j + n / 2, 1, layer.pixels + j * words);
    }
    *bits |= multiply_tile(layer, n, g_x + i * p.in_c);
  }
  return true;
}

}  // namespace dsp
}  // namespace tfodl
#endif
