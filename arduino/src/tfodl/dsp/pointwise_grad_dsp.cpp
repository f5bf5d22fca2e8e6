// Input gradients of pointwise layers for the DSP extension: a tile of prepared gradients times 4 weight
// columns, by the loop of block_dsp.cpp.
#include "tfodl/detail/cold.h"
#include "tfodl/dsp/block_dsp.h"

#if TFODL_DSP
#include "tfodl/dsp/prepare_dsp.h"
#include "tfodl/detail/tile.h"

// 4 columns of 4 * groups rows of `step` weights, in the layout of block_dsp.h but for the depth, which is in its
// natural order: {w[0], w[1]}, {w[2], w[3]} of a column, then of the next.
#define TFODL_TWO_ROWS(one, other, first, second, third, fourth)  \
  "pkhbt r9, " one ", " other ", lsl #16\n"                       \
  "pkhtb " other ", " other ", " one ", asr #16\n"                \
  "sxtb16 " one ", r9\n"                                          \
  "sxtb16 r9, r9, ror #8\n"                                       \
  "str.w " one ", " first "\n"                                    \
  "str.w r9, " second "\n"                                        \
  "sxtb16 " one ", " other "\n"                                   \
  "sxtb16 r9, " other ", ror #8\n"                                \
  "str.w " one ", " third "\n"                                    \
  "str.w r9, " fourth "\n"

extern "C" __attribute__((naked)) void tfodl_widen_columns(const int8_t*, int32_t /* step */, int32_t /* groups */,
                                                           uint32_t* /* to */) {
  __asm volatile(
      "push {r4-r9}\n"
      "add r4, r1, r1, lsl #1\n"
      "1: ldr r5, [r0]\n"
      "ldr r6, [r0, r1]\n"
      "ldr.w r7, [r0, r1, lsl #1]\n"
      "ldr.w r8, [r0, r4]\n"
      "add r0, r0, r1, lsl #2\n"
      TFODL_TWO_ROWS("r7", "r8", "[r3, #4]", "[r3, #12]", "[r3, #20]", "[r3, #28]")
      TFODL_TWO_ROWS("r5", "r6", "[r3]", "[r3, #8]", "[r3, #16]", "[r3, #24]")
      "add r3, #32\n"
      "subs r2, #1\n"
      "bne 1b\n"
      "pop {r4-r9}\n"
      "bx lr\n");
}

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

void start_from_0(const Layer& layer, const uint32_t* end, BlockStore way, Block& block) {
  block.set(layer.weights, layer.groups, end, way);
  for (int32_t& sum : block.start) sum = 0;
}

uint32_t narrow_pairs(const Layer& layer, int32_t ci, int32_t n, int16_t* g_x) {
  const int32_t stride = 2 * layer.p.in_c;
  NarrowBlock block;
  start_from_0(layer, layer.pixels + (n + 1) / 2 * 4 * layer.groups, tfodl_store_narrowed, block);
  block.y = g_x + ci;
  block.distance = n / 2 * stride;
  block.step = stride;
  block.fraction = 1 << (32 - layer.shift);
  block.minus_one = -1;
  block.bits = 0;
  return tfodl_block(&block, layer.pixels);
}

// The same by way of the sums: fewer columns, shifts below 2.
uint32_t narrow_sums(const Layer& layer, int32_t ci, int32_t columns, int32_t n, int16_t* g_x) {
  const int32_t words = 4 * layer.groups, pairs = (n + 1) / 2;
  int32_t sums[2 * kRows];
  uint32_t bits = 0;
  for (int32_t i = 0; i < pairs; ++i) {
    const uint32_t* pixels = layer.pixels + i * words;
    SumsBlock block;
    start_from_0(layer, pixels + words, tfodl_store_sums, block);
    block.sums = sums;
    tfodl_block(&block, pixels);
    for (int32_t k = 0; k < 2 * columns; ++k) {
      bits |= magnitude(sums[k]);
      const int32_t pixel = k & 1 ? i + n / 2 : i;
      g_x[pixel * layer.p.in_c + ci + (k >> 1)] = saturate_s16(rshift(sums[k], layer.shift));
    }
  }
  return bits;
}

// All input channels of a tile of n pixels. Where they are no multiple of 4 the last blocks overlap.
uint32_t multiply_tile(const Layer& layer, int32_t n, int16_t* g_x) {
  const int32_t in_c = layer.p.in_c, columns = in_c < kRows ? in_c : kRows;
  uint32_t bits = 0;
  int32_t trained = 0;
  for (int32_t next = 0; next < in_c; next += columns) {
    const int32_t ci = next + columns <= in_c ? next : in_c - columns;
    fill_weights(layer, ci, columns, trained);
    const bool short_way = columns == kRows && layer.shift > 1;
    bits |= short_way ? narrow_pairs(layer, ci, n, g_x) : narrow_sums(layer, ci, columns, n, g_x);
  }
  return bits;
}

}  // namespace

uint32_t pointwise_input_grad_s16(const Conv& p, const ConvGrad& q, const int16_t* g_y, const uint8_t* mask,
                                  int32_t shift, int16_t* g_x, void* scratch) {
  const int32_t positions = p.out_h * p.out_w, groups = groups_of_4(p.out_c);
  const int32_t tile = pointwise_grad_tile(p), words = 4 * groups;
  uint32_t* weights = static_cast<uint32_t*>(scratch);
  const Layer layer = {p, q, g_y, mask, shift, groups, weights, weights + 2 * kRows * groups};
  uint32_t bits = 0;
  for (int32_t i = 0; i < positions; i += tile) {
    const int32_t n = positions - i < tile ? positions - i : tile;
    for (int32_t j = 0; 2 * j < n; ++j) {
      prepare_pixel(layer, i + j, 0, layer.pixels + j * words);
      prepare_pixel(layer, i + j + n / 2, 1, layer.pixels + j * words);
    }
    bits |= multiply_tile(layer, n, g_x + i * p.in_c);
  }
  return bits;
}

}  // namespace dsp
}  // namespace tfodl
#endif
