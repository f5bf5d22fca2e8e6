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
      "mov r4, #0\n"
      "mov r5, #0\n"
      "mov r6, #0\n"
      "mov r7, #0\n"
      "mov r8, #0\n"
      "mov r9, #0\n"
      "mov r10, #0\n"
      "mov r11, #0\n"
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

void gather_pair(const int16_t* g, const uint8_t* mask, int32_t out_c, int32_t co, int32_t first, int32_t n,
                 int32_t groups, int16_t* out) {
  const int32_t bit = first * out_c + co, down = bit & 7, step = out_c >> 3;
  const uint32_t* halves = (mask ? kMasked : kUnmasked).halves;
  g += bit;
  const uint8_t* byte = mask ? mask + (bit >> 3) : reinterpret_cast<const uint8_t*>(g);
  for (int16_t* const end = out + 8 * groups; out < end; n -= 4, out += 8) {
    for (int32_t j = 0; j < 4; ++j) {
      uint32_t both = 0;
      if (j < n) both = load_word(g) & halves[(*byte >> down) & 3], g += out_c, byte += step;
      out[kPlaceInGroup[j]] = static_cast<int16_t>(both);
      out[4 + kPlaceInGroup[j]] = static_cast<int16_t>(both >> 16);
    }
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
