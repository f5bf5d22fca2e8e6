// Products of pointwise layers' input gradients for slices.h: added to sums, or of gradients that are prepared already.
#include "tfodl/detail/cold.h"
#include <string.h>

#include "tfodl/dsp/pointwise_grad_dsp.h"

#if TFODL_DSP
// Frame from 56 on: sums, distance, step.
#define TFODL_ADD_FOUR(one, two, three, four, at)                         \
  "ldr r3, [" at "]\n" "ldr r4, [" at ", #4]\n" "ldr.w lr, [" at ", #8]\n" \
  "add " one ", r3\n" "ldr r3, [" at ", #12]\n"                           \
  "add " two ", r4\n" "add " three ", lr\n" "add " four ", r3\n"          \
  "str " one ", [" at "]\n" "str " two ", [" at ", #4]\n"                  \
  "str.w " three ", [" at ", #8]\n" "str.w " four ", [" at ", #12]\n"
extern "C" __attribute__((naked)) void tfodl_store_added() {
  __asm volatile(
      "ldr r0, [sp, #56]\n"
      "ldr r2, [sp, #60]\n"
      "add r2, r0\n"
      TFODL_ADD_FOUR("r5", "r7", "r9", "r11", "r0")
      TFODL_ADD_FOUR("r6", "r8", "r10", "r12", "r2")
      "ldr r3, [sp, #64]\n"
      "ldr r4, [sp, #52]\n"
      "add r0, r3\n"
      TFODL_NEXT_BLOCK
      TFODL_RETURN);
}

namespace tfodl {
namespace dsp {
namespace {

// Columns ci .. ci + 3 of an even number of pixels.
void add_pairs(const Layer& layer, int32_t n, int32_t ci, int32_t* sums) {
  const int32_t pixel = 4 * layer.p.in_c;
  AddBlock block;
  start_from_0(layer, layer.pixels + n / 2 * 4 * layer.groups, tfodl_store_added, block);
  block.sums = sums + ci;
  block.distance = n / 2 * pixel;
  block.step = pixel;
  tfodl_block(&block, layer.pixels);
}

// The same of one pixel, which is both of a pair.
void add_pixel(const Layer& layer, int32_t ci, int32_t* sums) {
  int32_t found[2 * kRows];
  sum_pair(layer, 0, found);
  for (int32_t r = 0; r < kRows; ++r) sums[ci + r] += found[2 * r];
}

// Pixels first .. first + n, an even number or one.
void add_tile(const Layer& layer, int32_t first, int32_t n, int32_t* sums) {
  const int32_t in_c = layer.p.in_c;
  int32_t trained = 0;
  sums += first * in_c;
  prepare_tile(layer, first, n);
  for (int32_t ci = 0; ci < in_c; ci += kRows) {
    fill_weights(layer, ci, kRows, trained);
    if (n > 1) {
      add_pairs(layer, n, ci, sums);
    } else {
      add_pixel(layer, ci, sums);
    }
  }
}

}  // namespace

void prepare_pairs(const Conv& p, const ConvGrad& q, int16_t* g, const uint8_t* mask, void* scratch) {
  const int32_t groups = groups_of_4(p.out_c), words = 4 * groups;
  uint32_t* pair = static_cast<uint32_t*>(scratch);
  const Layer layer = {p, q, g, mask, 0, groups, nullptr, pair};
  for (int32_t i = 0; 2 * i < p.out_h * p.out_w; ++i) {
    prepare_pixel(layer, 2 * i, 0, pair);
    prepare_pixel(layer, 2 * i + 1, 1, pair);
    memcpy(g + 2 * i * p.out_c, pair, sizeof *pair * static_cast<size_t>(words));
  }
}

uint32_t prepared_input_grad_s16(const Conv& p, int16_t* prepared, int32_t shift, int16_t* g_x, void* scratch) {
  const Pairs pairs = {p.out_h * p.out_w / 2, 1, 2};
  const ConvGrad none = {nullptr, 0, 0};
  const Layer layer = {p, none, prepared, nullptr, shift, groups_of_4(p.out_c), static_cast<uint32_t*>(scratch),
                       reinterpret_cast<uint32_t*>(prepared)};
  uint32_t bits = 0;
  int32_t trained = 0;
  for (int32_t ci = 0; ci < p.in_c; ci += kRows) {
    fill_weights(layer, ci, kRows, trained);
    bits |= shift > 1 ? narrow_pairs(layer, ci, pairs, g_x) : narrow_sums(layer, ci, kRows, pairs, g_x);
  }
  return bits;
}

void pointwise_add_sums(const Conv& p, const ConvGrad& q, const int16_t* g_y, const uint8_t* mask, int32_t* sums,
                        void* scratch) {
  const int32_t n = p.out_h * p.out_w, groups = groups_of_4(p.out_c);
  uint32_t* weights = static_cast<uint32_t*>(scratch);
  const Layer layer = {p, q, g_y, mask, 0, groups, weights, weights + 2 * kRows * groups};
  if (n > 1) add_tile(layer, 0, n & ~1, sums);
  if (n & 1) add_tile(layer, n - 1, 1, sums);
}

}  // namespace dsp
}  // namespace tfodl
#endif
