// What tfodl_rows is told: a block, factors, kernels.
#include "tfodl/detail/cold.h"
#include "tfodl/dsp/rows_dsp.h"

#if TFODL_DSP
#include "tfodl/dsp/requantize_dsp.h"

// Read by the assembly: keep order and size.
struct KernelRows {
  int32_t tap, pitch;      // bytes from weight to weight, from channel to channel
  uint32_t pairs;          // its lowest bit: does a pair end with the second weight? and so on
  uint32_t* to;
  uint32_t keep;           // of a weight moved up
  int32_t bits;
  int32_t more;            // weights of a row behind the first
  int32_t row, rows;
};

#define TFODL_WEIGHTS_OF(even, odd, from)   \
  "sxtb16 " even ", " from "\n"             \
  "sxtb16 " odd ", " from ", ror #8\n"      \
  "lsl " even ", lr\n"                      \
  "and " even ", r4\n"                      \
  "lsl " odd ", lr\n"                       \
  "and " odd ", r4\n"

// The weights of 4 channels come as a word; two words give a pair of weights to each channel. r0 weight, r1 tap,
// r2 to, r3 weights left, r4 keep, r5 pitch, r6 3 pitches, r8, r9 the last weights of channels {0, 2} and {1, 3},
// r10, r7 the next ones, r12 pairs, lr bits.
extern "C" __attribute__((naked)) void tfodl_fill_kernels(const int8_t*, const KernelRows*) {
  __asm volatile(
      "push {r4-r11, lr}\n"
      "mov r11, r1\n"
      "ldmia r11!, {r1, r5, r12}\n"
      "ldmia r11!, {r2, r4, lr}\n"
      "add r6, r5, r5, lsl #1\n"
      "ldr r3, [r11, #8]\n"
      "1: push {r0, r3, r11, r12}\n"
      "ldr r3, [r11]\n"
      "ldr r7, [r0]\n"
      TFODL_WEIGHTS_OF("r8", "r9", "r7")
      "2: add r0, r1\n"
      "ldr r7, [r0]\n"
      TFODL_WEIGHTS_OF("r10", "r7", "r7")
      "rors r12, r12, #1\n"
      "bcc.n 4f\n"
      "3: pkhbt r11, r9, r7, lsl #16\n"
      "str r11, [r2, r5]\n"
      "pkhtb r9, r7, r9, asr #16\n"
      "str r9, [r2, r6]\n"
      "pkhtb r11, r10, r8, asr #16\n"
      "str r11, [r2, r5, lsl #1]\n"
      "pkhbt r8, r8, r10, lsl #16\n"
      "str r8, [r2], #4\n"
      "4: mov r8, r10\n"
      "mov r9, r7\n"
      "subs r3, #1\n"
      "bgt.n 2b\n"
      "bmi.n 5f\n"
      "cmn r12, #1\n"
      "itt ne\n"  // stride 2: the last weight makes a pair with 0
      "movne r7, #0\n"
      "movne r10, #0\n"
      "bne.n 3b\n"
      "5: pop {r0, r3, r11, r12}\n"
      "ldr r7, [r11, #4]\n"
      "add r0, r7\n"
      "subs r3, #1\n"
      "bne.n 1b\n"
      "pop {r4-r11, pc}\n");
}

namespace tfodl {
namespace dsp {

RowsBlock rows_block(const RowsShape& shape, int32_t taps, RowsEnd end, int32_t stride, int32_t y_row) {
  const RowsKernel& kernel = tfodl_rows_kernels[shape.k_w - 3 + shape.stride_w - 1];
  const int32_t row_bytes = 4 * shape.row_words, quad_bytes = 8 * shape.stride_w, rest = shape.out_w & 3;
  const bool small = end == RowsEnd::kRelu && shape.k_w == 3 && shape.stride_w == 1;
  const bool pair = small && shape.out_w > 4 && (rest == 1 || rest == 2);
  const int32_t quads = (shape.out_w + (pair ? 0 : 3)) >> 2;
  const int32_t x_row = shape.stride_h * row_bytes, channel = 4 * shape.plane_words;
  const bool whole = taps == shape.k_w, steps = end == RowsEnd::kRelu || end == RowsEnd::kNarrow;
  RowsBlock block;
  block.x_back = (whole ? taps - 1 : taps) * row_bytes - quad_bytes;
  block.stride = stride;
  block.first_row = whole ? kernel.whole : tfodl_rows_ends[4];
  block.other_rows = kernel.more + static_cast<uintptr_t>((kernel.rows * taps - taps) % kernel.rows * kernel.row_code);
  block.used_bytes = 4 * taps * row_kernel_words(shape.k_w, shape.stride_w);
  block.end = tfodl_rows_ends[static_cast<int32_t>(end)];
  block.surplus = pair ? 2 - rest : 4 * quads - shape.out_w;
  block.x_skip = x_row - quads * quad_bytes;
  block.y_skip = steps ? y_row - 4 * quads * stride : 0;
  block.x_row = x_row;
  block.relu_mask = end == RowsEnd::kRelu ? -1 : 0;
  block.row_bytes = row_bytes;
  block.behind = tfodl_rows_ends[pair ? 6 : 5];
  block.width = 2 * shape.stride_w * (pair ? 4 * quads : shape.out_w);
  block.weight_bytes = 4 * shape.kernel_words;
  block.plane_bytes = channel;
  block.y_bytes = end == RowsEnd::kNarrow ? 2 : 1;
  return block;
}

bool relu_factors(const Conv& p, int32_t c, int32_t n, bool masked, RowsFactors* to) {
  const int32_t products = p.k_h * p.k_w, least = masked ? 1 << 30 : 0;
  const int32_t act_min = p.act_min, act_end = p.act_max + 1, zero = p.out_zero;
  const int32_t *multiplier = p.multiplier, *bias = p.bias;
  const int8_t* shifts = p.shift;
  for (int32_t end = c + n; c < end; ++c, ++to) {
    if (!relu_channel(p, c, products) || multiplier[c] < least) return false;
    const int32_t shift = kReluBits - 1 - shifts[c], offset = relu_offset(p, shift);
    const int32_t low = act_min == zero ? offset + 1 : act_min * (1 << shift);
    *to = {bias[c] * (1 << kReluBits), multiplier[c], shift, offset, low,
           static_cast<uint32_t>(act_end * (1 << shift) - 1 - low)};
  }
  return true;
}

void fill_kernels(const int8_t* w, int32_t tap, int32_t row, int32_t rows, const RowsShape& shape, int32_t bits,
                  uint32_t* to) {
  const uint32_t pairs = shape.stride_w == 1 ? 0xFFFFFFFF : 0x55555555, keep = (0xFFFFu << bits & 0xFFFFu) * 0x10001u;
  const KernelRows block = {tap, 4 * shape.kernel_words, pairs, to, keep, bits, shape.k_w - 1, row, rows};
  tfodl_fill_kernels(w, &block);
}

}  // namespace dsp
}  // namespace tfodl
#endif
