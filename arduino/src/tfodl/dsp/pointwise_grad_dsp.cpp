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

// All input channels of a tile of n pixels. Where they are no multiple of 4 the last blocks overlap.
uint32_t multiply_tile(const Layer& layer, int32_t n, int16_t* g_x) {
  const int32_t in_c = layer.p.in_c, columns = in_c < kRows ? in_c : kRows;
  const Pairs pairs = {(n + 1) / 2, n / 2, 1};
  uint32_t bits = 0;
  int32_t trained = 0;
  for (int32_t next = 0; next < in_c; next += columns) {
    const int32_t ci = next + columns <= in_c ? next : in_c - columns;
    fill_weights(layer, ci, columns, trained);
    const bool short_way = columns == kRows && layer.shift > 1;
    bits |= short_way ? narrow_pairs(layer, ci, pairs, g_x) : narrow_sums(layer, ci, columns, pairs, g_x);
  }
  return bits;
}

}  // namespace

uint32_t pointwise_input_grad_s16(const Conv& p, const ConvGrad& q, const int16_t* g_y, const uint8_t* mask,
                                  int32_t shift, int16_t* g_x, void* scratch) {
  const int32_t positions = p.out_h * p.out_w, groups = groups_of_4(p.out_c);
  const int32_t tile = pointwise_grad_tile(p);
  uint32_t* weights = static_cast<uint32_t*>(scratch);
  const Layer layer = {p, q, g_y, mask, shift, groups, weights, weights + 2 * kRows * groups};
  uint32_t bits = 0;
  for (int32_t i = 0; i < positions; i += tile) {
    const int32_t n = positions - i < tile ? positions - i : tile;
    prepare_tile(layer, i, n);
    bits |= multiply_tile(layer, n, g_x + i * p.in_c);
  }
  return bits;
}

}  // namespace dsp
}  // namespace tfodl
#endif
