// FULLY_CONNECTED for the DSP extension: a weight serves one product, so it is widened on its way; 4 rows share
// the loads of the input.
#include "tfodl/dsp/hot_dsp.h"
#include "tfodl/dsp/dsp.h"

#if TFODL_DSP
#include "tfodl/dsp/requantize_dsp.h"
#include "tfodl/dsp/widen_dsp.h"

namespace tfodl {
namespace dsp {
// Read and written by the assembly: keep order and size. sums[r] += rows[r] . x over whole groups of 4.
struct FourRows {
  const uint32_t* x;
  const int8_t* rows[kRows];
  int32_t sums[kRows];
  const uint32_t* x_end;
};
extern "C" void tfodl_four_rows(FourRows* block);

#define TFODL_FOUR_PRODUCTS(row, sum)  \
  "ldr r11, [" row "], #4\n"           \
  "sxtb16 r12, r11\n"                  \
  "sxtb16 r11, r11, ror #8\n"          \
  "smlad " sum ", r12, r9, " sum "\n"  \
  "smlad " sum ", r11, r10, " sum "\n"
#define TFODL_FOUR_ROWS             \
  "ldrd r9, r10, [r0], #8\n"        \
  TFODL_FOUR_PRODUCTS("r1", "r5")   \
  TFODL_FOUR_PRODUCTS("r2", "r6")   \
  TFODL_FOUR_PRODUCTS("r3", "r7")   \
  TFODL_FOUR_PRODUCTS("r4", "r8")

extern "C" __attribute__((naked)) void tfodl_four_rows(FourRows*) {
  __asm volatile(
      "push {r0, r4-r11, lr}\n"
      "ldr lr, [r0, #36]\n"
      "ldmia r0, {r0-r8}\n"
      "sub r9, lr, r0\n"  // an odd group first, then two a turn
      "tst r9, #8\n"
      "beq 1f\n"
      TFODL_FOUR_ROWS
      "1: cmp r0, lr\n"
      "beq 3f\n"
      "2:\n"
      TFODL_FOUR_ROWS TFODL_FOUR_ROWS
      "cmp r0, lr\n"
      "bne 2b\n"
      "3: pop {r0}\n"
      "add r0, #20\n"
      "stmia r0, {r5-r8}\n"
      "pop {r4-r11, pc}\n");
}

namespace {

const int8_t* row_of(const Conv& p, int32_t co) {
  return p.slot && p.slot[co] >= 0 ? p.trained + p.slot[co] * p.in_c : p.weights + co * p.in_c;
}

// {x[0], x[2]}, {x[1], x[3]}, ... less the zero point.
const uint32_t* widen(const int8_t* x, int32_t n, int32_t zero, uint32_t* to) {
  const uint32_t offset = both_halves(-zero);
  for (int32_t i = 0; i + 4 <= n; i += 4) {
    const uint32_t word = load_word(x + i);
    *to++ = widen_even(word, offset);
    *to++ = widen_odd(word, offset);
  }
  return to;
}

// What the trained input channels of row co add to the sum of their first values.
int32_t sum_trained(const Conv& p, const int8_t* x, int32_t co) {
  const int8_t *trained = p.trained + co * p.n_columns, *first = p.weights + co * p.in_c;
  int32_t sum = 0;
  for (int32_t j = 0; j < p.n_columns; ++j) {
    const int32_t ci = p.columns[j];
    sum += (x[ci] - p.in_zero) * (trained[j] - first[ci]);
  }
  return sum;
}

// The first sums of the rows from co on, and what a group of 4 does not take in.
void start_rows(const Conv& p, const int8_t* x, int32_t co, int32_t rows, FourRows& block) {
  const int32_t in_c = p.in_c, whole = in_c & ~3;
  const int32_t* bias = p.bias + co;
  const int8_t* w = p.weights + co * in_c;
  for (int32_t r = 0; r < rows; ++r, w += in_c) {
    const int8_t* row = p.slot ? row_of(p, co + r) : w;
    int32_t sum = bias[r];
    for (int32_t i = whole; i < in_c; ++i) sum += (x[i] - p.in_zero) * row[i];
    block.rows[r] = row;
    block.sums[r] = sum;
  }
  for (int32_t r = 0; p.columns && r < rows; ++r) block.sums[r] += sum_trained(p, x, co + r);
}

// The outputs from co on: the short requantisation where the double of the sum stays in 32 bits.
void store_rows(const Conv& p, const int32_t* sums, int32_t co, int32_t rows, int8_t* y, uint8_t* mask) {
  const int32_t* multiplier = p.multiplier + co;
  const int8_t* right = p.shift + co;
  const int32_t zero = 2 * p.out_zero + 1;
  for (int32_t r = 0; r < rows; ++r) {
    const int32_t a = sums[r], shift = -right[r];
    if (mask || shift < 1 || shift > 20 || (a ^ (a << 1)) < 0) {
      ChannelOutput{p, co + r, y, mask, 0, false}.store_one(a);
    } else {
      y[co + r] = saturate_s8(requantize_fast(a, multiplier[r], shift, zero * (1 << (shift - 1))));
    }
  }
}

}  // namespace

void fully_connected_s8(const Conv& p, const int8_t* x, int8_t* y, uint8_t* mask, void* scratch) {
  uint32_t* words = static_cast<uint32_t*>(scratch);
  const int32_t out_c = p.out_c, rows = out_c < kRows ? out_c : kRows;
  FourRows block = {};
  block.x = words;
  block.x_end = widen(x, p.in_c, p.in_zero, words);
  for (int32_t next = 0; next < out_c; next += rows) {  // the last rows overlap with those before
    const int32_t co = next + rows <= out_c ? next : out_c - rows;
    start_rows(p, x, co, rows, block);
    for (int32_t r = rows; r < kRows; ++r) block.rows[r] = block.rows[0];
    tfodl_four_rows(&block);
    store_rows(p, block.sums, co, rows, y, mask);
  }
  clamp_outputs(p, y, out_c);
}

}  // namespace dsp
}  // namespace tfodl
#endif
