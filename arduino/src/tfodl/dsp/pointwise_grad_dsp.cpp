// Input gradients of pointwise layers for the DSP extension: a tile of prepared gradients times 4 weight
// columns, by the loop of block_dsp.cpp.
#include "tfodl/detail/cold.h"
#include "tfodl/dsp/pointwise_grad_dsp.h"

#if TFODL_DSP

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
