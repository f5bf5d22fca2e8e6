// CONV_2D for the DSP extension: a tile of output pixels is widened once (after gathering its taps where
// k > 1), then every pair of weight rows once a tile; block_dsp.cpp multiplies them.
#include "tfodl/dsp/hot_dsp.h"
#include "tfodl/dsp/block_dsp.h"

#if TFODL_DSP
#include "tfodl/forward.h"
#include "tfodl/dsp/requantize_dsp.h"

namespace tfodl {
namespace dsp {
namespace {

constexpr int32_t kPairsOfSums = 8;        // of pixels, on the stack, where the sums are wanted
struct Layer {
  const Conv& p;
  int32_t depth, groups;  // products an output; groups of 4
  uint32_t* weights;      // one pair of rows
  uint32_t* pixels;       // the tile
  int8_t* column;         // taps of two pixels, where they are gathered
  bool direct;            // k = 1, stride 1: a pixel's column is the pixel
  uint8_t* mask;          // or null
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
  for (; n > 0; --n) {
    __asm volatile("strb %1, %0" : "=m"(*to) : "r"(value));  // few: no memset
    ++to;
  }
  return to;
}

// The taps of an output pixel all of whose window lies in the map.
int8_t* gather_inside(const Conv& p, ConstRows x, int32_t top, int32_t left, int8_t* to) {
  const int32_t row = p.in_w * p.in_c, taps = p.k_w * p.in_c;
  int32_t slot = top % x.rows;
  const int8_t* from = x.data + slot * row + left * p.in_c;
  for (int32_t ky = 0; ky < p.k_h; ++ky, from += row) {
    to = copy_bytes(from, taps, to);
    if (++slot == x.rows) slot = 0, from -= x.rows * row;
  }
  return to;
}

int8_t* gather_border(const Conv& p, ConstRows x, int32_t top, int32_t left, int8_t* to) {
  const int32_t in_c = p.in_c, row = p.in_w * in_c;
  const int8_t zero = static_cast<int8_t>(p.in_zero);
  const int32_t from = clamp_s32(-left, 0, p.k_w), to_x = clamp_s32(p.in_w - left, from, p.k_w);
  for (int32_t iy = top; iy < top + p.k_h; ++iy) {
    if (iy < 0 || iy >= p.in_h) {
      to = fill_bytes(zero, p.k_w * in_c, to);
      continue;
    }
    to = fill_bytes(zero, from * in_c, to);
    to = copy_bytes(row_at(x, iy, row) + (left + from) * in_c, (to_x - from) * in_c, to);
    to = fill_bytes(zero, (p.k_w - to_x) * in_c, to);
  }
  return to;
}

// The taps of output pixel (oy, ox), padding included, then what fills the last group.
void gather_column(const Layer& layer, ConstRows x, int32_t oy, int32_t ox, int8_t* to) {
  const Conv& p = layer.p;
  const int32_t left = ox * p.stride_w - p.pad_left, top = oy * p.stride_h - p.pad_top;
  const bool inside = left >= 0 && top >= 0 && left + p.k_w <= p.in_w && top + p.k_h <= p.in_h;
  to = inside ? gather_inside(p, x, top, left, to) : gather_border(p, x, top, left, to);
  fill_bytes(static_cast<int8_t>(p.in_zero), 4 * layer.groups - layer.depth, to);
}

// Walks over the output pixels.
struct Cursor {
  int32_t oy, ox;
};

Cursor cursor_at(const Layer& layer, int32_t pixel) { return {pixel / layer.p.out_w, pixel % layer.p.out_w}; }

// Gathers the taps of the pixel under the cursor as column j; moves on to the next.
const int8_t* take(const Layer& layer, ConstRows x, Cursor& cursor, int32_t j) {
  int8_t* column = layer.column + 4 * j * layer.groups;
  gather_column(layer, x, cursor.oy, cursor.ox, column);
  if (++cursor.ox == layer.p.out_w) cursor.ox = 0, ++cursor.oy;
  return column;
}

// Pixel `pixel` where the layer is direct.
const int8_t* direct_at(const Conv& p, ConstRows x, int32_t pixel) {
  return row_at(x, pixel / p.in_w, p.in_w * p.in_c) + pixel % p.in_w * p.in_c;
}

// Do n pixels from `first` on lie one behind the other?
bool in_one_piece(const Conv& p, ConstRows x, int32_t first, int32_t n) {
  return first / p.in_w % x.rows + (first % p.in_w + n - 1) / p.in_w < x.rows;
}

// n pixels of a direct layer, as they lie.
void widen_tile(const Layer& layer, ConstRows x, int32_t first, int32_t n) {
  const Conv& p = layer.p;
  const int32_t pairs = (n + 1) / 2;
  const int8_t *one = direct_at(p, x, first), *other = direct_at(p, x, first + n / 2);
  uint32_t* to = layer.pixels;
  if (layer.depth % 4 == 0) {
    widen_groups(one, other, layer.groups * pairs, both_halves(-p.in_zero), to);
    return;
  }
  for (int32_t i = 0; i < pairs; ++i, one += p.in_c, other += p.in_c) {
    to = widen_pair(one, other, layer.depth, -p.in_zero, to);
  }
}

// Widens n output pixels from flat index `first` on.
void fill_tile(const Layer& layer, ConstRows x, int32_t first, int32_t n) {
  if (layer.direct && in_one_piece(layer.p, x, first, n)) {
    widen_tile(layer, x, first, n);
    return;
  }
  uint32_t* to = layer.pixels;
  const uint32_t offset = both_halves(-layer.p.in_zero);
  Cursor one = cursor_at(layer, first), other = cursor_at(layer, first + n / 2);
  for (int32_t i = 0; i < n; i += 2) {
    const int8_t* a = take(layer, x, one, 0);
    const int8_t* b = take(layer, x, other, 1);
    to = widen_groups(a, b, layer.groups, offset, to);
  }
}

const int8_t* weights_of(const Conv& p, int32_t co, int32_t depth) {
  return p.slot && p.slot[co] >= 0 ? p.trained + p.slot[co] * depth : p.weights + co * depth;
}

// Puts the trained input channels of row co over their first values.
void put_columns(const Layer& layer, int32_t co, int32_t r, int32_t factor) {
  const Conv& p = layer.p;
  const int32_t taps = p.k_h * p.k_w;
  const int8_t* trained = p.trained + co * taps * p.n_columns;
  int16_t* to = reinterpret_cast<int16_t*>(layer.weights);
  for (int32_t tap = 0; tap < taps; ++tap) {
    for (int32_t j = 0; j < p.n_columns; ++j) {
      to[place_in_pair(tap * p.in_c + p.columns[j], r)] = static_cast<int16_t>(*trained++ * factor);
    }
  }
}

void fill_weights(const Layer& layer, int32_t co, int32_t rows, bool relu) {
  const Conv& p = layer.p;
  const int32_t second = co + rows - 1, factor = relu ? 1 << kReluBits : 1;
  const int8_t *a = weights_of(p, co, layer.depth), *b = weights_of(p, second, layer.depth);
  relu ? scale_pair(a, b, layer.depth, layer.weights) : void(widen_pair(a, b, layer.depth, 0, layer.weights));
  if (!p.columns) return;
  put_columns(layer, co, 0, factor);
  put_columns(layer, second, 1, factor);
}

void requantize_pairs(const Layer& layer, int32_t co, int32_t n, bool relu, int8_t* y) {
  const Conv& p = layer.p;
  const int32_t words = 4 * layer.groups, distance = n / 2 * p.out_c, factor = relu ? 1 << kReluBits : 1;
  const int32_t s0 = relu ? relu_shift(p, co) : -p.shift[co], s1 = relu ? relu_shift(p, co + 1) : -p.shift[co + 1];
  const RequantBlock block = {p.multiplier[co], s0, relu ? relu_offset(p, s0) : requantize_offset(p, s0),
                              p.multiplier[co + 1], s1, relu ? relu_offset(p, s1) : requantize_offset(p, s1),
                              y + co, distance,
                              layer.weights, p.bias[co] * factor, p.bias[co + 1] * factor, layer.weights + words,
                              layer.pixels, layer.pixels + (n + 1) / 2 * words, p.out_c - distance};
  relu ? tfodl_block_relu(&block) : tfodl_block_requantize(&block);
}

// An even number of pixels with their clip masks.
void mask_pairs(const Layer& layer, int32_t co, int32_t n, int8_t* y, int32_t bit) {
  const Conv& p = layer.p;
  const int32_t words = 4 * layer.groups, bytes = p.out_c >> 3;
  const MaskedChannel a(p, co), b(p, co + 1);
  const MaskedBlock block = {b.multiplier, b.right_shift, b.offset, b.low, b.range, y + co,
                             a.multiplier, a.right_shift, a.offset, a.low, a.range,
                             layer.mask + ((bit + co) >> 3), n / 2 * bytes, bytes, p.out_c, n / 2 * p.out_c,
                             layer.weights, {p.bias[co], p.bias[co + 1], p.bias[co], p.bias[co + 1]}, layer.groups,
                             layer.weights + words, layer.pixels + n / 2 * words, layer.pixels};
  tfodl_block_masked(&block);
}

// One or two output channels of a tile of n pixels by way of their sums: any shift and mask. The pixel that is
// computed twice is stored once.
void store_sums(const Layer& layer, int32_t co, int32_t rows, int32_t n, int8_t* y, int32_t bit, bool shift_in) {
  const Conv& p = layer.p;
  const int32_t words = 4 * layer.groups, second = co + rows - 1, pairs = (n + 1) / 2, half = n / 2;
  int32_t sums[4 * kPairsOfSums];
  for (int32_t i = 0; i < pairs; i += kPairsOfSums) {
    const int32_t count = pairs - i < kPairsOfSums ? pairs - i : kPairsOfSums;
    const int32_t first = half - i < count ? half - i : count;
    const uint32_t* pixels = layer.pixels + i * words;
    const SumBlock block = {sums, layer.weights, p.bias[co], p.bias[second], layer.weights + words,
                            pixels, pixels + count * words};
    tfodl_block_sums(&block);
    for (int32_t r = rows - 1; r >= 0; --r) {
      const int32_t at = i * p.out_c, other = at + half * p.out_c;
      ChannelOutput{p, co + r, y + at, layer.mask, bit + at, shift_in}.store<4>({sums + r, first, 1, 0});
      ChannelOutput{p, co + r, y + other, layer.mask, bit + other, shift_in}.store<4>({sums + 2 + r, count, 1, 0});
    }
  }
}

// All output channels of a tile of n pixels. Where their number is odd the last two pairs overlap.
void multiply_tile(const Layer& layer, int32_t n, int8_t* y, int32_t bit) {
  const Conv& p = layer.p;
  const int32_t rows = p.out_c > 1 ? 2 : 1;
  bool shift_in = false;
  for (int32_t left = p.out_c; left > 0; left -= rows) {
    const int32_t co = left > rows ? left - rows : 0;
    if (layer.mask && left % 8 == 0) shift_in = masks_in_bytes(p, left - 1, layer.depth);
    const bool pair = !layer.mask && rows == 2;
    const bool relu = pair && relu_channel(p, co, layer.depth) && relu_channel(p, co + 1, layer.depth);
    fill_weights(layer, co, rows, relu);
    if (relu || (pair && fast_channel(p, co, layer.depth) && fast_channel(p, co + 1, layer.depth))) {
      requantize_pairs(layer, co, n, relu, y);
    } else if (shift_in && n % 2 == 0) {
      mask_pairs(layer, co, n, y, bit);
    } else {
      store_sums(layer, co, rows, n, y, bit, shift_in);
    }
  }
  clamp_outputs(p, y, n * p.out_c);
}

}  // namespace

void conv_rows_s8(const Conv& p, ConstRows x, Rows y, int16_t y0, int16_t y1, uint8_t* mask, void* scratch) {
  if (is_dense(p) && y0 < y1) return dsp::fully_connected_s8(p, x.data, y.data, mask, scratch);
  const int32_t depth = p.k_h * p.k_w * p.in_c, groups = groups_of_4(depth), tile = conv_tile(p);
  uint32_t* words = static_cast<uint32_t*>(scratch);
  uint32_t* pixels = words + 4 * groups;
  const bool direct = p.k_h == 1 && p.k_w == 1 && p.stride_h == 1 && p.stride_w == 1 &&
                      p.pad_top == 0 && p.pad_left == 0 && p.in_w == p.out_w;
  const Layer layer = {p, depth, groups, words, pixels,
                       reinterpret_cast<int8_t*>(pixels + 2 * tile * groups), direct, mask};
  for (int32_t oy = y0, rows; oy < y1; oy += rows) {
    rows = rows_in_one_piece(y, oy, y1);
    const int32_t run = rows * p.out_w;
    int8_t* out = y.data + (oy % y.rows) * p.out_w * p.out_c;
    for (int32_t i = 0; i < run; i += tile) {
      const int32_t n = run - i < tile ? run - i : tile, first = oy * p.out_w + i;
      fill_tile(layer, x, first, n);
      multiply_tile(layer, n, out + i * p.out_c, first * p.out_c);
    }
  }
}

}  // namespace dsp
}  // namespace tfodl
#endif
