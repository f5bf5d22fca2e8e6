// The inner loops of weight gradients for the DSP extension: 4 channels of 4 positions are transposed at a time,
// pair_dsp.cpp multiplies.
#include "tfodl/dsp/hot_dsp.h"
#include "tfodl/dsp/pair_dsp.h"
#include "tfodl/dsp/widen_dsp.h"

#if TFODL_DSP
#include "tfodl/detail/inner.h"
#include "tfodl/dsp/prepare_dsp.h"
#include "tfodl/detail/tap_cursor.h"

namespace tfodl {
namespace dsp {

// A bit of the mask, 0 or 1, times a gradient is added: r4-r11 sums, r12 byte of the mask, r3 two gradients.
#define TFODL_SUM_TWO(at, bit, next, even, odd)  \
  "ldr r3, [r0, #" at "]\n"                      \
  "ubfx lr, r12, #" bit ", #1\n"                 \
  "smlabb " even ", r3, lr, " even "\n"          \
  "ubfx lr, r12, #" next ", #1\n"                \
  "smlatb " odd ", r3, lr, " odd "\n"

__attribute__((naked)) void tfodl_sum_eight(const int16_t*, const uint8_t*, int32_t, const int16_t*, int32_t*) {
  __asm volatile(
      "push {r3-r11, lr}\n"
      "movs r4, #0\n"
      "mov r5, r4\n"
      "mov r6, r4\n"
      "mov r7, r4\n"
      "mov r8, r4\n"
      "mov r9, r4\n"
      "mov r10, r4\n"
      "mov r11, r4\n"
      "1: ldrb r12, [r1]\n"
      TFODL_SUM_TWO("0", "0", "1", "r4", "r5")
      TFODL_SUM_TWO("4", "2", "3", "r6", "r7")
      TFODL_SUM_TWO("8", "4", "5", "r8", "r9")
      TFODL_SUM_TWO("12", "6", "7", "r10", "r11")
      "ldr lr, [sp]\n"
      "add r1, r1, r2, lsr #4\n"
      "add r0, r2\n"
      "cmp r0, lr\n"
      "bne 1b\n"
      "ldr r12, [sp, #40]\n"
      "stmia r12, {r4-r11}\n"
      "pop {r3-r11, pc}\n");
}

// Two channels of a position, a word, under two bits of the mask from a table of 4; four words are put together as
// rows. r0 gradients, r1 mask, r2 step, r3 out, r4 groups, r5 first bit, r6 table, r7-r10 positions.
#define TFODL_GATHER(position)              \
  "ldr " position ", [r0]\n"                \
  "ldrb lr, [r1]\n"                         \
  "add r0, r2\n"                            \
  "add r1, r1, r2, lsr #4\n"                \
  "lsr lr, r5\n"                            \
  "and lr, #3\n"                            \
  "ldr lr, [r6, lr, lsl #2]\n"              \
  "and " position ", lr\n"

extern "C" __attribute__((naked)) void tfodl_gather_pairs(const int16_t*, const uint8_t*, int32_t /* step, bytes */,
                                                          int16_t* /* out */, int32_t /* groups */,
                                                          int32_t /* first bit */, const HalvesTable*) {
  __asm volatile(
      "push {r4-r11, lr}\n"
      "ldrd r4, r5, [sp, #36]\n"
      "ldr r6, [sp, #44]\n"
      "1:\n" TFODL_GATHER("r7") TFODL_GATHER("r8") TFODL_GATHER("r9") TFODL_GATHER("r10")
      "pkhbt r11, r7, r9, lsl #16\n"
      "str r11, [r3], #4\n"
      "pkhbt r12, r8, r10, lsl #16\n"
      "str r12, [r3], #4\n"
      "pkhtb r9, r9, r7, asr #16\n"
      "str r9, [r3], #4\n"
      "pkhtb r10, r10, r8, asr #16\n"
      "str r10, [r3], #4\n"
      "subs r4, #1\n"
      "bne 1b\n"
      "pop {r4-r11, pc}\n");
}

void gather_pair(const int16_t* g, const uint8_t* mask, int32_t out_c, int32_t co, int32_t first, int32_t n,
                 int32_t groups, int16_t* out) {
  const int32_t bit = first * out_c + co, down = bit & 7, step = out_c >> 3, whole = n >> 2;
  const HalvesTable& table = mask ? kMasked : kUnmasked;
  g += bit;
  const uint8_t* byte = mask ? mask + (bit >> 3) : reinterpret_cast<const uint8_t*>(g);
  if (whole) tfodl_gather_pairs(g, byte, 2 * out_c, out, whole, down, &table);
  fill_words(reinterpret_cast<uint32_t*>(out) + 4 * whole, 4 * (groups - whole), 0);
  g += 4 * whole * out_c, byte += 4 * whole * step, out += 8 * whole;
  for (int32_t j = 0; j < (n & 3); ++j, g += out_c, byte += step) {
    const uint32_t both = load_word(g) & table.halves[(*byte >> down) & 3];
    out[kPlaceInGroup[j]] = static_cast<int16_t>(both);
    out[4 + kPlaceInGroup[j]] = static_cast<int16_t>(both >> 16);
  }
}

}  // namespace dsp


void widen_columns_s8(const Conv& p, const int8_t* x, int32_t channels, int32_t tap, int32_t c, int32_t first,
                      int32_t n, int32_t groups, int16_t* out) {
  TapCursor cursor(p, x, channels, tap, first);
  const int8_t zero = static_cast<int8_t>(p.in_zero);
  const uint32_t offset = dsp::both_halves(-p.in_zero), nothing = dsp::load_bytes(nullptr, 0, zero);
  uint32_t* to = reinterpret_cast<uint32_t*>(out);
  uint32_t* second = to + 4 * groups;
  const int32_t present = channels - c;
  for (int32_t i = 0; i < n; i += 4, to += 4, second += 4) {
    uint32_t words[4];
    for (int32_t j = 0; j < 4; ++j) {
      const int8_t* pixel = i + j < n ? cursor.next() : nullptr;
      words[j] = !pixel ? nothing : present >= 4 ? dsp::load_word(pixel + c) : dsp::load_bytes(pixel + c, present, zero);
    }
    const uint32_t even0 = dsp::widen_even(words[0], offset), even1 = dsp::widen_even(words[1], offset);
    const uint32_t even2 = dsp::widen_even(words[2], offset), even3 = dsp::widen_even(words[3], offset);
    to[0] = dsp::low_halves(even0, even2);
    to[1] = dsp::low_halves(even1, even3);
    second[0] = dsp::high_halves(even0, even2);
    second[1] = dsp::high_halves(even1, even3);
    const uint32_t odd0 = dsp::widen_odd(words[0], offset), odd1 = dsp::widen_odd(words[1], offset);
    const uint32_t odd2 = dsp::widen_odd(words[2], offset), odd3 = dsp::widen_odd(words[3], offset);
    to[2] = dsp::low_halves(odd0, odd2);
    to[3] = dsp::low_halves(odd1, odd3);
    second[2] = dsp::high_halves(odd0, odd2);
    second[3] = dsp::high_halves(odd1, odd3);
  }
}

void outer_sums_s16(const int16_t* grads, const int16_t* columns, int32_t groups, int32_t pairs, int32_t* sums) {
  const uint32_t* weights = reinterpret_cast<const uint32_t*>(grads);
  const uint32_t* pixels = reinterpret_cast<const uint32_t*>(columns);
  const dsp::SumBlock block = {sums, weights, 0, 0, weights + 4 * groups, pixels, pixels + 4 * groups * pairs};
  dsp::tfodl_block_sums(&block);
}

}  // namespace tfodl
#endif
