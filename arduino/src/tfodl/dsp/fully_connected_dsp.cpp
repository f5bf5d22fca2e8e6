// FULLY_CONNECTED for the DSP extension: a weight serves one product, so it is widened on its way; 4 rows share
// the loads of the input.
#include "tfodl/dsp/hot_dsp.h"
#include "tfodl/dsp/dsp.h"

#if TFODL_DSP
#include "tfodl/dsp/requantize_dsp.h"
#include "tfodl/dsp/widen_dsp.h"

namespace tfodl {
namespace dsp {

// Read and written by the assembly: keep order and size.
// sums[r] += rows[r] . x over whole groups of 4, one at least.
struct FourRows {
  const uint32_t* x;
  const int8_t* rows[kRows];
  int32_t sums[kRows];
  const uint32_t* x_end;
};
// Outputs of rows that lie one behind the other, 4 at a time, by the short requantisation.
struct DenseRows {
  const uint32_t* x;
  const int8_t* weights;
  int32_t row_bytes;
  const int32_t *bias, *multiplier;
  const int8_t* shift;
  int8_t* y;
  int32_t zero;  // 2 out_zero + 1
  const int8_t* y_end;
  const uint32_t* x_end;
};
extern "C" void tfodl_four_rows(FourRows*);
extern "C" void tfodl_dense_rows(const DenseRows*);

// r0 x, r1-r4 rows, r5-r8 sums, r9, r10 a group of x. 88 bytes of code and 24 cycles for 16 products: the loads of two
// rows stand together, since loads in a row pipeline.
#define TFODL_ROW(word, sum)                    \
  "sxtb16 lr, " word "\n"                       \
  "sxtb16 " word ", " word ", ror #8\n"         \
  "smlad " sum ", lr, r9, " sum "\n"            \
  "smlad " sum ", " word ", r10, " sum "\n"
#define TFODL_GROUP_OF_ROWS                     \
  "ldr.w r10, [r0, #4]\n"                       \
  "ldr.w r9, [r0], #8\n"                        \
  "ldr r11, [r1], #4\n"                         \
  "ldr r12, [r2], #4\n"                         \
  TFODL_ROW("r11", "r5") TFODL_ROW("r12", "r6") \
  "ldr r11, [r3], #4\n"                         \
  "ldr r12, [r4], #4\n"                         \
  TFODL_ROW("r11", "r7") TFODL_ROW("r12", "r8")

// Frame: 36 x_end, 40 where to go on, 44 where the first turn begins. In: r0 x, `back` the label to go on at.
#define TFODL_START_ROWS(back)                  \
  "ldr r9, [sp, #36]\n"                         \
  "sub r9, r0, r9\n"                            \
  "ubfx r9, r9, #3, #2\n" /* groups to leave out of the first turn of 4 */ \
  "mov r10, #88\n"                              \
  "adr.w r11, 5f\n"                             \
  "mla r9, r9, r10, r11\n"                      \
  "adr.w r10, " back "\n"                       \
  "orr r9, r9, #1\n"                            \
  "orr r10, r10, #1\n"                          \
  "strd r10, r9, [sp, #40]\n"

// t = (sum * 2 * multiplier + 2^31) >> 32 and so on, as TFODL_REQUANTIZE of store_dsp.cpp.
#define TFODL_DENSE_OUTPUT(sum)                 \
  "ldr r9, [r0], #4\n"                          \
  "ldrsb r10, [r1], #1\n"                       \
  "lsl r11, " sum ", #1\n"                      \
  "mvn r10, r10\n"      /* right shift less 1 */ \
  "lsl r12, r3, r10\n"                          \
  "smmlar r11, r11, r9, r12\n"                  \
  "add r11, r11, " sum ", asr #31\n"            \
  "asr r11, r11, r10\n"                         \
  "ssat r11, #8, r11, asr #1\n"                 \
  "strb r11, [r2], #1\n"

// Frame: DenseRows. tfodl_four_rows: 0 block.
extern "C" __attribute__((naked)) void tfodl_dense_rows(const DenseRows*) {
  __asm volatile(
      "push {r4-r11, lr}\n"
      "sub sp, #48\n"
      "mov r12, sp\n"
      "ldmia r0, {r0-r9}\n"
      "stmia r12, {r0-r9}\n"
      TFODL_START_ROWS("2f")
      "1: ldr r0, [sp]\n"
      "ldr r1, [sp, #4]\n"
      "ldr.w r9, [sp, #8]\n"
      "ldr.w r10, [sp, #12]\n"
      "add r2, r1, r9\n"
      "add r3, r2, r9\n"
      "add r4, r3, r9\n"
      "ldmia r10!, {r5-r8}\n"
      "str r10, [sp, #12]\n"
      "ldr pc, [sp, #44]\n"
      ".balign 4\n"
      "2: str r4, [sp, #4]\n"
      "ldr r0, [sp, #16]\n"
      "ldr r1, [sp, #20]\n"
      "ldr r2, [sp, #24]\n"
      "ldr r3, [sp, #28]\n"
      TFODL_DENSE_OUTPUT("r5") TFODL_DENSE_OUTPUT("r6") TFODL_DENSE_OUTPUT("r7") TFODL_DENSE_OUTPUT("r8")
      "ldr r3, [sp, #32]\n"
      "str r0, [sp, #16]\n"
      "str r1, [sp, #20]\n"
      "str r2, [sp, #24]\n"
      "cmp r2, r3\n"
      "bne 1b\n"
      "3: add sp, #48\n"
      "pop {r4-r11, pc}\n"

      ".global tfodl_four_rows\n"
      ".type tfodl_four_rows, %function\n"
      ".thumb_func\n"
      "tfodl_four_rows:\n"
      "push {r4-r11, lr}\n"
      "sub sp, #48\n"
      "str r0, [sp]\n"
      "ldr r9, [r0, #36]\n"
      "str r9, [sp, #36]\n"
      "ldmia r0, {r0-r8}\n"
      TFODL_START_ROWS("4f")
      "ldr pc, [sp, #44]\n"
      ".balign 4\n"
      "4: ldr r0, [sp]\n"
      "add r0, #20\n"
      "stmia r0, {r5-r8}\n"
      "b 3b\n"

      ".balign 4\n"
      "5:\n"
      TFODL_GROUP_OF_ROWS TFODL_GROUP_OF_ROWS TFODL_GROUP_OF_ROWS TFODL_GROUP_OF_ROWS
      "ldr lr, [sp, #36]\n"
      "cmp r0, lr\n"
      "bne.w 5b\n"
      "ldr pc, [sp, #40]\n");
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
    if (mask || shift < 1 || shift > kFastShift || magnitude(a) >= 1u << 30) {
      ChannelOutput{p, co + r, y, mask, 0, false}.store_one(a);
    } else {
      y[co + r] = saturate_s8(requantize_fast(a, multiplier[r], shift, zero * (1 << (shift - 1))));
    }
  }
}

}  // namespace

void fully_connected_s8(const Conv& p, const int8_t* x, int8_t* y, uint8_t* mask, void* scratch) {
  uint32_t* words = static_cast<uint32_t*>(scratch);
  const int32_t in_c = p.in_c, out_c = p.out_c, rows = out_c < kRows ? out_c : kRows;
  const uint32_t* const end = widen(x, in_c, p.in_zero, words);
  const bool plain = !mask && !p.slot && !p.columns && in_c % 4 == 0 && rows == kRows;
  const uint32_t bound = plain ? fast_bound(in_c) : 0;
  const bool fast = bound && within(p, 0, out_c, kFastShift, bound);
  for (int32_t next = 0, n; next < out_c; next += n) {  // the last rows overlap with those before
    const int32_t co = next + rows <= out_c ? next : out_c - rows;
    n = fast && co == 0 ? out_c & ~3 : rows;
    if (fast) {
      const DenseRows run = {words, p.weights + co * in_c, in_c, p.bias + co, p.multiplier + co, p.shift + co,
                             y + co, 2 * p.out_zero + 1, y + co + n, end};
      tfodl_dense_rows(&run);
      continue;
    }
    FourRows block;
    block.x = words, block.x_end = end;
    start_rows(p, x, co, rows, block);
    for (int32_t r = rows; r < kRows; ++r) block.rows[r] = block.rows[0];
    if (end != words) tfodl_four_rows(&block);
    store_rows(p, block.sums, co, rows, y, mask);
  }
  clamp_outputs(p, y, out_c);
}

}  // namespace dsp
}  // namespace tfodl
#endif
