// CONV_2D for the DSP extension: a tile of output pixels is widened once, then every 4 rows of weights once a tile;
// block_dsp.cpp multiplies them.
#include "tfodl/dsp/hot_dsp.h"
#include "tfodl/dsp/tile_dsp.h"

#if TFODL_DSP
#include "tfodl/forward.h"
#include "tfodl/dsp/requantize_dsp.h"

namespace tfodl {
namespace dsp {
namespace {

constexpr int32_t kPairsOfSums = 2;  // of pixels, on the stack, where the sums are wanted

// So that one block at a time is on the stack.
#define TFODL_APART __attribute__((noinline))
#if defined(__GNUC__) && !defined(__clang__)
#define TFODL_SELDOM __attribute__((noinline, optimize("Os")))
#else
#define TFODL_SELDOM TFODL_APART
#endif

struct Layer {
  const Conv& p;
  const Columns& columns;
  int32_t depth, groups;
  uint32_t* weights;  // 4 rows
  uint8_t* mask;      // or null
};

// Where 4 rows of something lie.
struct FourBytes {
  const int8_t* at[kRows];
};

// The weights of channels co to co + rows - 1; those that miss: the first of them.
inline FourBytes find_rows(const Layer& layer, int32_t co, int32_t rows) {
  const Conv& p = layer.p;
  const int32_t depth = layer.columns.order.depth;
  const int8_t* first = p.weights + co * depth;
  FourBytes four = {{first, first + depth, first + 2 * depth, first + 3 * depth}};
  for (int32_t r = 0; p.slot && r < rows; ++r) {
    if (p.slot[co + r] >= 0) four.at[r] = p.trained + p.slot[co + r] * depth;
  }
  for (int32_t r = rows; r < kRows; ++r) four.at[r] = four.at[0];
  return four;
}

// Puts the trained input channels of `rows` rows from co on over their first values, times 2^bits.
TFODL_APART void put_columns(const Layer& layer, int32_t co, int32_t rows, int32_t bits) {
  const Conv& p = layer.p;
  const int32_t taps = p.k_h * p.k_w, n = p.n_columns, row = taps * n;
  const int8_t* first = p.trained + co * row;
  const int8_t* second = rows > 1 ? first + row : first;
  const int8_t* third = rows > 2 ? second + row : first;
  const int8_t* fourth = rows > 3 ? third + row : first;
  int16_t* const weights = reinterpret_cast<int16_t*>(layer.weights);
  for (int32_t tap = 0, k = 0; tap < taps; ++tap, k += p.in_c) {
    for (const int16_t *column = p.columns, *const end = column + n; column < end; ++column) {
      int16_t* const to = weights + layer.columns.order.place(k + *column);
      to[0] = static_cast<int16_t>(*first++ * (1 << bits));
      to[4] = static_cast<int16_t>(*second++ * (1 << bits));
      to[8] = static_cast<int16_t>(*third++ * (1 << bits));
      to[12] = static_cast<int16_t>(*fourth++ * (1 << bits));
    }
  }
}

// The 27 bytes of a row in the order of `nines` of DepthOrder, and one that is 0.
void order_nines(const int8_t* row, int8_t* to) {
  for (int32_t i = 0; i < 3; ++i) {
    memcpy(to + 8 * i, row + 9 * i, 8);
    to[24 + i] = row[9 * i + 8];
  }
  to[27] = 0;
}

// Rows co to co + rows - 1, the first one in the place of those that miss; times 2^8 where `scaled`.
void fill_weights(const Layer& layer, int32_t co, int32_t rows, bool scaled) {
  const DepthOrder& order = layer.columns.order;
  FourBytes from = find_rows(layer, co, rows);
  int8_t ordered[kRows][28];
  for (int32_t r = 0; order.nines && r < kRows; ++r) {
    order_nines(from.at[r], ordered[r]);
    from.at[r] = ordered[r];
  }
  const int32_t whole = order.nines ? order.groups : order.depth >> 2;
  if (whole > 0) (scaled ? tfodl_scale_four : tfodl_widen_four)(from.at, whole, layer.weights);
  if (whole < order.groups) {
    uint32_t* to = layer.weights + 2 * kRows * whole;
    for (int32_t r = 0; r < kRows; ++r, to += 2) {
      const uint32_t word = load_bytes(from.at[r] + 4 * whole, order.depth & 3, 0);
      to[0] = scaled ? (word << 8) & kUpperBytes : widen_even(word, 0);
      to[1] = scaled ? word & kUpperBytes : widen_odd(word, 0);
    }
  }
  if (layer.p.columns) put_columns(layer, co, rows, scaled ? kReluBits : 0);
}

// The end of a tile of n pixels.
const uint32_t* pixels_end(const Layer& layer, int32_t n) {
  return layer.columns.pixels + (n + 1) / 2 * 4 * layer.groups;
}

// 4 rows of weights, and first values from the biases of channels co to co + 3.
inline void set_block(const Layer& layer, int32_t co, const uint32_t* end, BlockStore way, int32_t factor,
                      Block& block) {
  block.set(layer.weights, layer.groups, end, way);
  const int32_t* bias = layer.p.bias + co;
  int32_t* start = block.start;
#pragma GCC unroll 4
  for (int32_t r = 0; r < kRows; ++r, start += 2) start[0] = start[1] = bias[r] * factor;
}

inline void requantize_pairs(const Layer& layer, int32_t co, int32_t n, bool relu, int8_t* y) {
  const Conv& p = layer.p;
  const int32_t* multiplier = p.multiplier + co;
  const int8_t* shift = p.shift + co;
  const int32_t distance = p.out_c, twice_zero = 2 * p.out_zero + 1, least = relu ? kReluBits - 1 : 0;
  const int32_t rounding = relu ? 1 << (kReluBits - 2) : 0;
  RequantBlock block;
  set_block(layer, co, pixels_end(layer, n), relu ? tfodl_store_relu : tfodl_store_requantized,
            relu ? 1 << kReluBits : 1, block);
  block.y = y + co;
  block.distance = n / 2 * distance;
  block.step = distance;
  int32_t shifts = 0;  // 0 where all are the same
#pragma GCC unroll 4
  for (int32_t r = 0; r < kRows; ++r) {
    const int32_t right = least - shift[r];
    block.rows[r] = {multiplier[r], right, twice_zero * (1 << (right - 1)) + rounding};
    shifts |= shift[r] ^ shift[0];
  }
  if (relu && shifts == 0) block.store_by(tfodl_store_relu_alike);
  tfodl_block(&block, layer.columns.pixels);
}

// Pairs of pixels, `distance` apart, with their clip masks.
TFODL_APART void mask_pairs(const Layer& layer, int32_t co, const uint32_t* pixels, const uint32_t* end,
                            int32_t distance, bool relu, int8_t* y, int32_t bit) {
  const Conv& p = layer.p;
  const int32_t bytes = p.out_c >> 3;
  MaskedChannel rows[kRows] = {{p, co}, {p, co + 1}, {p, co + 2}, {p, co + 3}};
  for (int32_t r = 0; relu && r < kRows; ++r) rows[r] = MaskedChannel::of_relu(p, co + r);
  MaskedBlock block;
  set_block(layer, co, end, relu ? tfodl_store_relu_masks : tfodl_store_masks, relu ? 1 << kReluBits : 1, block);
  block.y = y + co;
  block.distance = distance * p.out_c;
  block.step = p.out_c;
  block.mask = layer.mask + ((bit + co) >> 3);
  block.mask_distance = distance * bytes;
  block.mask_step = bytes;
  block.rows_end = rows + kRows;
  tfodl_block(&block, pixels);
}

// All pixels. Of an odd number the last one comes by itself: in the tile it stands beside the middle one, whose outputs
// it overwrites here.
void mask_tile(const Layer& layer, int32_t co, int32_t n, bool relu, int8_t* y, int32_t bit) {
  const uint32_t* pixels = layer.columns.pixels;
  const uint32_t* const whole = pixels + n / 2 * 4 * layer.groups;
  if (n > 1) mask_pairs(layer, co, pixels, whole, n / 2, relu, y, bit);
  if (n % 2 == 0) return;
  const int32_t last = (n - 1) * layer.p.out_c;
  mask_pairs(layer, co, whole, pixels_end(layer, n), 0, relu, y + last, bit + last);
}

// Up to 4 output channels of a tile of n pixels by way of their sums: any shift and mask. The pixel that is computed
// twice is stored once.
TFODL_SELDOM void store_sums(const Layer& layer, int32_t co, int32_t rows, int32_t n, int8_t* y, int32_t bit,
                             bool shift_in) {
  const Conv& p = layer.p;
  const int32_t words = 4 * layer.groups, pairs = (n + 1) / 2, half = n / 2;
  int32_t sums[2 * kRows * kPairsOfSums];
  for (int32_t i = 0; i < pairs; i += kPairsOfSums) {
    const int32_t count = pairs - i < kPairsOfSums ? pairs - i : kPairsOfSums;
    const int32_t first = half - i < count ? half - i : count;
    const uint32_t* pixels = layer.columns.pixels + i * words;
    SumsBlock block;
    block.set(layer.weights, layer.groups, pixels + count * words, tfodl_store_sums);
    for (int32_t r = 0; r < kRows; ++r) block.start[2 * r] = block.start[2 * r + 1] = p.bias[co + (r < rows ? r : 0)];
    block.sums = sums;
    tfodl_block(&block, pixels);
    for (int32_t r = rows - 1; r >= 0; --r) {
      const int32_t at = i * p.out_c, other = at + half * p.out_c;
      ChannelOutput{p, co + r, y + at, layer.mask, bit + at, shift_in}.store<8>({sums + 2 * r, first, 1, 0});
      ChannelOutput{p, co + r, y + other, layer.mask, bit + other, shift_in}.store<8>({sums + 2 * r + 1, count, 1, 0});
    }
  }
}

// All output channels of a tile of n pixels. Where they are no multiple of 4 the last blocks overlap.
void multiply_tile(const Layer& layer, int32_t n, int8_t* y, int32_t bit) {
  const Conv& p = layer.p;
  const int32_t rows = p.out_c < kRows ? p.out_c : kRows;
  const uint32_t relu_bias = rows == kRows && (!layer.mask || p.act_min == p.out_zero) ? relu_bound(p, layer.depth) : 0;
  const uint32_t fast_bias = !layer.mask && rows == kRows ? fast_bound(layer.depth) : 0;
  bool shift_in = false;
  for (int32_t left = p.out_c; left > 0; left -= rows) {
    const int32_t co = left > rows ? left - rows : 0;
    if (layer.mask && left % 8 == 0) shift_in = masks_in_bytes(p, left - 1, layer.depth);
    const bool relu = relu_bias && (!layer.mask || shift_in) && within(p, co, kRows, kReluShift, relu_bias);
    fill_weights(layer, co, rows, relu);
    if ((relu && !layer.mask) || (fast_bias && within(p, co, kRows, kFastShift, fast_bias))) {
      requantize_pairs(layer, co, n, relu, y);
    } else if (shift_in) {
      mask_tile(layer, co, n, relu, y, bit);
    } else {
      store_sums(layer, co, rows, n, y, bit, shift_in);
    }
  }
  clamp_outputs(p, y, n * p.out_c);
}

}  // namespace

void conv_rows_s8(const Conv& p, ConstRows x, Rows y, int16_t y0, int16_t y1, uint8_t* mask, void* scratch) {
  if (is_dense(p) && y0 < y1) return dsp::fully_connected_s8(p, x.data, y.data, mask, scratch);
  const DepthOrder order(p);
  const int32_t tile = conv_tile(p);
  uint32_t* weights = static_cast<uint32_t*>(scratch);
  uint32_t* pixels = weights + 2 * kRows * order.groups;
  const bool direct = p.k_h == 1 && p.k_w == 1 && p.stride_h == 1 && p.stride_w == 1 &&
                      p.pad_top == 0 && p.pad_left == 0 && p.in_w == p.out_w;
  const Columns columns = {p, order, pixels, reinterpret_cast<int8_t*>(weights), direct};
  const Layer layer = {p, columns, order.depth, order.groups, weights, mask};
  for (int32_t oy = y0, rows; oy < y1; oy += rows) {
    rows = rows_in_one_piece(y, oy, y1);
    const int32_t run = rows * p.out_w;
    int8_t* out = y.data + (oy % y.rows) * p.out_w * p.out_c;
    for (int32_t i = 0; i < run; i += tile) {
      const int32_t n = run - i < tile ? run - i : tile, first = oy * p.out_w + i;
      columns.fill(x, first, n);
      multiply_tile(layer, n, out + i * p.out_c, first * p.out_c);
    }
  }
}

}  // namespace dsp
}  // namespace tfodl
#endif
