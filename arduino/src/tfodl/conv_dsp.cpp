// CONV_2D for the DSP extension: a tile of output pixels is widened once (after gathering its taps where
// k > 1), then every pair of weight rows once a tile; block_dsp.cpp multiplies them.
#include "hot_dsp.h"
#include "block_dsp.h"

#if TFODL_DSP
#include "forward.h"
#include "requantize_dsp.h"

namespace tfodl {
namespace dsp {
namespace {

constexpr int32_t kPairsOfSums = 8;        // of pixels, on the stack, where the sums are wanted
struct Layer {
  const Conv& p;
  int32_t depth, groups;  // products an output; groups of 4
  uint32_t* weights;      // one pair of rows
  uint32_t* pixels;       // the tile
  int8_t* column;         // taps of two pixels, where k > 1
  bool direct;            // k = 1, stride 1: a pixel's column is the pixel
};

inline const int8_t* row_at(ConstRows x, int32_t y, int32_t bytes) { return x.data + (y % x.rows) * bytes; }

inline int8_t* copy_bytes(const int8_t* from, int32_t n, int8_t* to) {
  for (; n >= 4; n -= 4, from += 4, to += 4) {
    const uint32_t word = load_word(from);
    memcpy(to, &word, 4);
  }
  for (; n > 0; --n) *to++ = *from++;
  return to;
}

inline int8_t* fill_bytes(int8_t value, int32_t n, int8_t* to) {
  for (; n > 0; --n) *to++ = value;
  return to;
}

// The taps of output pixel (oy, ox), padding included.
void gather_column(const Conv& p, ConstRows x, int32_t oy, int32_t ox, int8_t* to) {
  const int32_t in_c = p.in_c, left = ox * p.stride_w - p.pad_left, top = oy * p.stride_h - p.pad_top;
  const int32_t row = p.in_w * in_c, taps = p.k_w * in_c;
  if (left >= 0 && top >= 0 && left + p.k_w <= p.in_w && top + p.k_h <= p.in_h) {
    for (int32_t iy = top; iy < top + p.k_h; ++iy) to = copy_bytes(row_at(x, iy, row) + left * in_c, taps, to);
    return;
  }
  const int8_t zero = static_cast<int8_t>(p.in_zero);
  const int32_t from = clamp_s32(-left, 0, p.k_w), to_x = clamp_s32(p.in_w - left, from, p.k_w);
  for (int32_t iy = top; iy < top + p.k_h; ++iy) {
    if (iy < 0 || iy >= p.in_h) {
      to = fill_bytes(zero, taps, to);
      continue;
    }
    to = fill_bytes(zero, from * in_c, to);
    to = copy_bytes(row_at(x, iy, row) + (left + from) * in_c, (to_x - from) * in_c, to);
    to = fill_bytes(zero, (p.k_w - to_x) * in_c, to);
  }
}

// Walks over the output pixels.
struct Cursor {
  int32_t oy, ox;
  const int8_t* pixel;  // under it, where the layer is direct
};

// The taps of the pixel under the cursor, in place or gathered as column j; moves on to the next.
const int8_t* take(const Layer& layer, ConstRows x, Cursor& cursor, int32_t j) {
  const Conv& p = layer.p;
  const int8_t* column = cursor.pixel;
  if (layer.direct) {
    cursor.pixel += p.in_c;
  } else {
    int8_t* gathered = layer.column + j * ((layer.depth + 3) & ~3);
    gather_column(p, x, cursor.oy, cursor.ox, gathered);
    column = gathered;
  }
  if (++cursor.ox < p.out_w) return column;
  cursor.ox = 0, ++cursor.oy;
  if (layer.direct) cursor.pixel = row_at(x, cursor.oy, p.in_w * p.in_c);
  return column;
}

Cursor cursor_at(const Layer& layer, ConstRows x, int32_t pixel) {
  const Conv& p = layer.p;
  const int32_t oy = pixel / p.out_w, ox = pixel % p.out_w;
  return {oy, ox, layer.direct ? row_at(x, oy, p.in_w * p.in_c) + ox * p.in_c : nullptr};
}

// Widens n output pixels from flat index `first` on.
void fill_tile(const Layer& layer, ConstRows x, int32_t first, int32_t n) {
  uint32_t* to = layer.pixels;
  Cursor one = cursor_at(layer, x, first), other = cursor_at(layer, x, first + n / 2);
  for (int32_t i = 0; i < n; i += 2) {
    const int8_t* a = take(layer, x, one, 0);
    const int8_t* b = take(layer, x, other, 1);
    to = widen_pair(a, b, layer.depth, -layer.p.in_zero, to);
  }
}

const int8_t* weights_of(const Conv& p, int32_t co, int32_t depth) {
  return p.slot && p.slot[co] >= 0 ? p.trained + p.slot[co] * depth : p.weights + co * depth;
}

// Puts the trained input channels of row co where `weights` holds zeros.
void put_columns(const Layer& layer, int32_t co, int32_t r) {
  const Conv& p = layer.p;
  const int32_t taps = p.k_h * p.k_w;
  const int8_t* trained = p.trained + co * taps * p.n_columns;
  int16_t* to = reinterpret_cast<int16_t*>(layer.weights);
  for (int32_t tap = 0; tap < taps; ++tap) {
    for (int32_t j = 0; j < p.n_columns; ++j) {
      to[place_in_pair(tap * p.in_c + p.columns[j], r)] = *trained++;
    }
  }
}

void fill_weights(const Layer& layer, int32_t co, int32_t rows) {
  const Conv& p = layer.p;
  const int32_t second = co + rows - 1;
  widen_pair(weights_of(p, co, layer.depth), weights_of(p, second, layer.depth), layer.depth, 0, layer.weights);
  if (!p.columns) return;
  put_columns(layer, co, 0);
  put_columns(layer, second, 1);
}

void requantize_pairs(const Layer& layer, int32_t co, int32_t n, int8_t* y) {
  const Conv& p = layer.p;
  const int32_t s0 = -p.shift[co], s1 = -p.shift[co + 1], words = 4 * layer.groups, distance = n / 2 * p.out_c;
  const RequantBlock block = {p.multiplier[co], s0, requantize_offset(p, s0),
                              p.multiplier[co + 1], s1, requantize_offset(p, s1),
                              y + co, distance,
                              layer.weights, p.bias[co], p.bias[co + 1], layer.weights + words,
                              layer.pixels, layer.pixels + (n + 1) / 2 * words, p.out_c - distance};
  tfodl_block_requantize(&block);
}

// One or two output channels of a tile of n pixels by way of their sums: any shift and mask.
void store_sums(const Layer& layer, int32_t co, int32_t rows, int32_t n, int8_t* y, uint8_t* mask, int32_t bit) {
  const Conv& p = layer.p;
  const int32_t words = 4 * layer.groups, second = co + rows - 1, pairs = (n + 1) / 2;
  int32_t sums[4 * kPairsOfSums];
  for (int32_t i = 0; i < pairs; i += kPairsOfSums) {
    const int32_t count = pairs - i < kPairsOfSums ? pairs - i : kPairsOfSums;
    const uint32_t* pixels = layer.pixels + i * words;
    const SumBlock block = {sums, layer.weights, p.bias[co], p.bias[second], layer.weights + words,
                            pixels, pixels + count * words};
    tfodl_block_sums(&block);
    for (int32_t r = 0; r < rows; ++r) {
      for (int32_t j = 0; j < 2; ++j) {
        const int32_t at = (i + j * (n / 2)) * p.out_c;
        ChannelOutput{p, co + r, y + at, mask, bit + at}.store<4>({sums + 2 * j + r, count, 1, 0});
      }
    }
  }
}

// All output channels of a tile of n pixels. Where their number is odd the last two pairs overlap.
void multiply_tile(const Layer& layer, int32_t n, int8_t* y, uint8_t* mask, int32_t bit) {
  const Conv& p = layer.p;
  const int32_t rows = p.out_c > 1 ? 2 : 1;
  for (int32_t next = 0; next < p.out_c; next += 2) {
    const int32_t co = next + rows <= p.out_c ? next : p.out_c - rows;
    fill_weights(layer, co, rows);
    if (!mask && rows == 2 && fast_channel(p, co) && fast_channel(p, co + 1)) {
      requantize_pairs(layer, co, n, y);
    } else {
      store_sums(layer, co, rows, n, y, mask, bit);
    }
  }
  clamp_outputs(p, y, n * p.out_c);
}

}  // namespace

bool conv_rows_s8(const Conv& p, ConstRows x, Rows y, int16_t y0, int16_t y1, uint8_t* mask, void* scratch) {
  const int32_t depth = p.k_h * p.k_w * p.in_c, groups = groups_of_4(depth), tile = conv_tile(p);
  if (depth > kLargestDepth || p.out_h * p.out_w == 1) return false;
  uint32_t* words = static_cast<uint32_t*>(scratch);
  uint32_t* pixels = words + 4 * groups;
  const bool direct = p.k_h == 1 && p.k_w == 1 && p.stride_h == 1 && p.stride_w == 1 &&
                      p.pad_top == 0 && p.pad_left == 0 && p.in_w == p.out_w;
  const Layer layer = {p, depth, groups, words, pixels,
                       reinterpret_cast<int8_t*>(pixels + 2 * tile * groups), direct};
  for (int32_t oy = y0, rows; oy < y1; oy += rows) {
    rows = rows_in_one_piece(y, oy, y1);
    const int32_t run = rows * p.out_w;
    int8_t* out = y.data + (oy % y.rows) * p.out_w * p.out_c;
    for (int32_t i = 0; i < run; i += tile) {
      const int32_t n = run - i < tile ? run - i : tile, first = oy * p.out_w + i;
      fill_tile(layer, x, first, n);
      multiply_tile(layer, n, out + i * p.out_c, mask, first * p.out_c);
    }
  }
  return true;
}

}  // namespace dsp
}  // namespace tfodl
#endif
