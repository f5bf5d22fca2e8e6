// FULLY_CONNECTED for the DSP extension: a weight serves one product, so it is widened on its way; 4 rows share
// the loads of the input.
#include "hot_dsp.h"
#include "dsp.h"

#if TFODL_DSP
#include "requantize_dsp.h"
#include "widen_dsp.h"

namespace tfodl {
namespace dsp {
namespace {

constexpr int32_t kRows = 4;

}  // namespace

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

// Rows co .. co + 3; where there are fewer, the last one again.
void start_rows(const Conv& p, const int8_t* x, int32_t co, int32_t rows, FourRows& block) {
  for (int32_t r = 0; r < kRows; ++r) {
    const int32_t row = co + (r < rows ? r : rows - 1);
    block.rows[r] = row_of(p, row);
    block.sums[r] = p.bias[row];
    for (int32_t i = p.in_c & ~3; i < p.in_c; ++i) block.sums[r] += (x[i] - p.in_zero) * block.rows[r][i];
  }
}

}  // namespace

bool fully_connected_s8(const Conv& p, const int8_t* x, int8_t* y, uint8_t* mask, void* scratch) {
  if (p.columns || p.in_c > kLargestDepth) return false;
  uint32_t* words = static_cast<uint32_t*>(scratch);
  FourRows block;
  block.x_end = widen(x, p.in_c, p.in_zero, words);
  block.x = words;
  for (int32_t co = 0; co < p.out_c; co += kRows) {
    const int32_t rows = p.out_c - co < kRows ? p.out_c - co : kRows;
    start_rows(p, x, co, rows, block);
    tfodl_four_rows(&block);
    for (int32_t r = 0; r < rows; ++r) ChannelOutput{p, co + r, y, mask, 0, false}.store_one(block.sums[r]);
  }
  clamp_outputs(p, y, p.out_c);
  return true;
}

}  // namespace dsp
}  // namespace tfodl
#endif
