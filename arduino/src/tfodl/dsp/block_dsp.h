// The inner loop that the matrix-like kernels share: 2 rows of weights times pairs of pixels, two 16-bit
// products an instruction, everything widened to int16 beforehand.
//
// Layout of both operands, for each group of 4 along the depth k: {v[k], v[k+2]}, {v[k+1], v[k+3]} of the
// first row (pixel), then the same of the second: 16 bytes a group. That is what SXTB16 makes of 4 bytes, so
// one LDM fetches a group and 8 SMLAD spend it: 10 instructions for 16 products.
//
// Of n pixels, pair i is pixel i and pixel i + n / 2: where n is odd the middle one is computed twice.
#pragma once
#include "tfodl/dsp/dsp.h"

#if TFODL_DSP
#include "tfodl/dsp/widen_dsp.h"

namespace tfodl {
namespace dsp {

// The first n < 4 bytes at `at`; the others are `fill`.
inline uint32_t load_bytes(const int8_t* at, int32_t n, int8_t fill) {
  uint32_t word = 0;
  for (int32_t i = 0; i < 4; ++i) word |= uint32_t(uint8_t(i < n ? at[i] : fill)) << (8 * i);
  return word;
}

constexpr uint32_t kUpperBytes = 0xFF00FF00;  // of both halves

inline int32_t groups_of_4(int32_t depth) { return (depth + 3) >> 2; }

// One group of two rows, from their bytes.
inline uint32_t* put_group(uint32_t* to, uint32_t first, uint32_t second, uint32_t offset) {
  to[0] = widen_even(first, offset);
  to[1] = widen_odd(first, offset);
  to[2] = widen_even(second, offset);
  to[3] = widen_odd(second, offset);
  return to + 4;
}

// Whole groups of two rows: 9 instructions for 8 values.
inline uint32_t* widen_groups(const int8_t* first, const int8_t* second, int32_t groups, uint32_t offset,
                              uint32_t* to) {
  __asm volatile(
      "1: ldr r8, [%[first]], #4\n"
      "ldr r9, [%[second]], #4\n"
      "sxtab16 r4, %[offset], r8\n"
      "sxtab16 r5, %[offset], r8, ror #8\n"
      "sxtab16 r6, %[offset], r9\n"
      "sxtab16 r8, %[offset], r9, ror #8\n"
      "subs %[groups], #1\n"
      "stmia %[to]!, {r4, r5, r6, r8}\n"
      "bne 1b\n"
      : [first] "+r"(first), [second] "+r"(second), [groups] "+r"(groups), [to] "+r"(to)
      : [offset] "r"(offset)
      : "r4", "r5", "r6", "r8", "r9", "cc", "memory");
  return to;
}

// The same for weights times 2^8.
inline uint32_t* scale_groups(const int8_t* first, const int8_t* second, int32_t groups, uint32_t* to) {
  __asm volatile(
      "1: ldr r8, [%[first]], #4\n"
      "ldr r9, [%[second]], #4\n"
      "and r4, %[upper], r8, lsl #8\n"
      "and r5, %[upper], r8\n"
      "and r6, %[upper], r9, lsl #8\n"
      "and r8, %[upper], r9\n"
      "subs %[groups], #1\n"
      "stmia %[to]!, {r4, r5, r6, r8}\n"
      "bne 1b\n"
      : [first] "+r"(first), [second] "+r"(second), [groups] "+r"(groups), [to] "+r"(to)
      : [upper] "r"(kUpperBytes)
      : "r4", "r5", "r6", "r8", "r9", "cc", "memory");
  return to;
}

// Two rows of `depth` int8 plus an offset, laid out as above; what fills the last group is -offset, so 0.
inline uint32_t* widen_pair(const int8_t* first, const int8_t* second, int32_t depth, int32_t offset,
                            uint32_t* to) {
  const uint32_t both = both_halves(offset);
  const int32_t groups = depth >> 2, rest = depth & 3;
  if (groups > 0) to = widen_groups(first, second, groups, both, to);
  if (rest == 0) return to;
  const int8_t zero = static_cast<int8_t>(-offset);
  first += 4 * groups, second += 4 * groups;
  return put_group(to, load_bytes(first, rest, zero), load_bytes(second, rest, zero), both);
}

// Two rows of `depth` weights times 2^8.
inline void scale_pair(const int8_t* first, const int8_t* second, int32_t depth, uint32_t* to) {
  const int32_t groups = depth >> 2, rest = depth & 3;
  if (groups > 0) to = scale_groups(first, second, groups, to);
  if (rest == 0) return;
  const uint32_t a = load_bytes(first + 4 * groups, rest, 0), b = load_bytes(second + 4 * groups, rest, 0);
  to[0] = (a << 8) & kUpperBytes;
  to[1] = a & kUpperBytes;
  to[2] = (b << 8) & kUpperBytes;
  to[3] = b & kUpperBytes;
}

// Where element k of row (or pixel) r lies in a widened pair, in int16.
inline int32_t place_in_pair(int32_t k, int32_t r) {
  return (k >> 2) * 8 + r * 4 + (k & 1) * 2 + ((k >> 1) & 1);
}

// Read by the assembly: keep order and size.
struct RequantBlock {
  int32_t multiplier0, right_shift0, offset0;  // offset = 2^(right_shift - 1) + (out_zero << right_shift)
  int32_t multiplier1, right_shift1, offset1;
  int8_t* y;                                   // row 0 of the first pixel; row 1 is beside it
  int32_t distance;                            // to the other pixel of a pair
  const uint32_t* weights;
  int32_t bias0, bias1;
  const uint32_t* weights_end;
  const uint32_t* pixels;
  const uint32_t* pixels_end;
  int32_t back;                                // from there to the next pair
};
// The frame of the assembly, with the scaled sums that pass: MaskedChannel of requantize_dsp.h.
struct MaskedBlock {
  int32_t multiplier1, right_shift1, offset1, low1;
  uint32_t range1;
  int8_t* y;
  int32_t multiplier0, right_shift0, offset0, low0;
  uint32_t range0;
  uint8_t* mask;                // the byte of the first pixel
  int32_t mask_distance;        // to that of the other pixel of a pair
  int32_t mask_step, step;      // to the next pixel
  int32_t distance;
  const uint32_t* weights;
  int32_t bias[4];              // rows 0, 1, 0, 1
  int32_t groups;               // there it becomes the entry
  const uint32_t* weights_end;
  const uint32_t* pixels_end;
  const uint32_t* pixels;
};
struct SumBlock {
  int32_t* sums;  // out: {row 0, row 1} of the first pixel, then of the second, for each pair
  const uint32_t* weights;
  int32_t bias0, bias1;
  const uint32_t* weights_end;
  const uint32_t* pixels;
  const uint32_t* pixels_end;
};
struct MaskedSums {
  const int32_t *sums, *end;
  int8_t* y;
  uint8_t* byte;
  int32_t stride, step;       // from output to output, from sum to sum in bytes
  int32_t multiplier, right_shift, offset, low;
  uint32_t range;
};
struct NarrowBlock {
  int16_t* y;         // row 0 of the first pixel; row 1 is beside it
  uint32_t bits;      // 0
  int32_t distance;   // to the other pixel of a pair, bytes
  int32_t half_shift; // shift - 1 >= 0
  int32_t one;        // 1
  int32_t back;       // from there to the next pair, bytes
  const uint32_t* pixels_end;
  const uint32_t* weights;
  const uint32_t* weights_end;
  const uint32_t* pixels;
};

extern "C" {
// For every pair of pixels: sums, requantisation (right shifts 1..20), clamp to int8, store.
void tfodl_block_requantize(const RequantBlock* block);
// The same from weights and biases times 2^kReluBits, see relu_channel.
void tfodl_block_relu(const RequantBlock* block);
// The same with clip masks: two bits are shifted into each byte from below.
void tfodl_block_masked(const MaskedBlock* block);
// The same from the sums of one channel.
void tfodl_store_masked(const MaskedSums* block);
// For every pair of pixels: the 4 int32 sums.
void tfodl_block_sums(const SumBlock* block);
// For every pair of pixels: sums from 0, rounded shift, saturation to +-32767, store. Returns the OR of all |sums|.
uint32_t tfodl_block_narrow(const NarrowBlock* block);
}

}  // namespace dsp
}  // namespace tfodl
#endif
