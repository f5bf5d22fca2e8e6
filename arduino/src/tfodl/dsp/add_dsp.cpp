// ADD for the DSP extension.
#include "tfodl/dsp/hot_dsp.h"
#include "tfodl/dsp/dsp.h"

#if TFODL_DSP
// One sum: both inputs come by loads that follow each other; SMMLAR multiplies, rounds and adds what makes the next
// shift a rounding one. r3 start, r4 multiplier, r5 half, r6 e, r7 base, r8 out, r9 offset, r10 out_e.
#define TFODL_ADD                       \
  "ldrsb r11, [r1], #1\n"               \
  "ldrsb r12, [r0], #1\n"               \
  "add r11, r3, r11, lsl #21\n"         \
  "smmlar lr, r11, r4, r5\n"            \
  "add r12, r7, r12, lsl #20\n"         \
  "add lr, lr, r11, asr #31\n"          \
  "asr lr, r6\n"                        \
  "add r12, r12, lr, lsl #1\n"          \
  "smmlar lr, r12, r8, r9\n"            \
  "add lr, lr, r12, asr #31\n"          \
  "asr lr, r10\n"                       \
  "ssat lr, #8, lr\n"                   \
  "strb lr, [r2], #1\n"

extern "C" __attribute__((naked)) void tfodl_add_fours(const int8_t*, const int8_t*, int8_t*,
                                                       const tfodl::dsp::HalfAdd*) {
  __asm volatile(
      "push {r4-r11, lr}\n"
      "ldmia r3, {r3-r11}\n"  // r11: the end of a
      "push {r11}\n"
      "1:\n" TFODL_ADD TFODL_ADD TFODL_ADD TFODL_ADD
      "ldr r11, [sp]\n"
      "cmp r0, r11\n"
      "bne.w 1b\n"
      "pop {r3-r11, pc}\n");
}
#endif
