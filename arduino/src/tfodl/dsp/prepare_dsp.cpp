#include "tfodl/dsp/prepare_dsp.h"

#if TFODL_DSP
// Both loops take the mask of two gradients, a word, from a table of 4.

// r4 eights left, r5 half, r6 shift, r7 bits, r8-r12 gradients and scales. Frame: 0 table.
#define TFODL_TWO_PREPARED(gradients, first, at)    \
  "ldr r10, [r1], #4\n"                             \
  "ubfx r11, r7, #" first ", #2\n"                  \
  "ldr r11, [sp, r11, lsl #2]\n"                    \
  "and " gradients ", r11\n"                        \
  "smlatt r11, " gradients ", r10, r5\n"            \
  "smlabb r10, " gradients ", r10, r5\n"            \
  "asr r11, r6\n"                                   \
  "asr r10, r6\n"                                   \
  "pkhbt r10, r10, r11, lsl #16\n"                  \
  "str r10, [r3, #" at "]\n"

extern "C" {

__attribute__((naked)) void tfodl_prepare_eights(const int16_t*, const int16_t*, const uint8_t*, uint32_t*,
                                                 const tfodl::dsp::PrepareBlock*) {
  __asm volatile(
      "push {r4-r11, lr}\n"
      "ldr r12, [sp, #36]\n"
      "ldmia r12, {r4-r11}\n"  // table, half, shift, mask_step, eights
      "push {r4-r7}\n"
      "mov r5, r8\n"
      "mov r6, r9\n"
      "mov r12, r10\n"
      "mov r4, r11\n"
      "1: ldrb r7, [r2]\n"
      "add r2, r12\n"
      "ldrd r8, r9, [r0], #8\n"
      TFODL_TWO_PREPARED("r8", "0", "0")
      TFODL_TWO_PREPARED("r9", "2", "4")
      "ldrd r8, r9, [r0], #8\n"
      TFODL_TWO_PREPARED("r8", "4", "16")
      TFODL_TWO_PREPARED("r9", "6", "20")
      "add r3, #32\n"
      "subs r4, #1\n"
      "bne 1b\n"
      "add sp, #16\n"
      "pop {r4-r11, pc}\n");
}

// Frame: 0 table, 16 step, 20 first bit.
__attribute__((naked)) void tfodl_spread_fours(const tfodl::dsp::SpreadBlock*) {
  __asm volatile(
      "push {r4-r11, lr}\n"
      "ldmia r0!, {r1-r6}\n"
      "push {r1-r6}\n"
      "ldmia r0, {r0-r9}\n"
      "1: ldrd r10, r11, [r0]\n"
      "ldrb r12, [r1]\n"
      "ldr lr, [sp, #20]\n"
      "lsr r12, lr\n"
      "ubfx lr, r12, #0, #2\n"
      "ldr lr, [sp, lr, lsl #2]\n"
      "and r10, lr\n"
      "ubfx lr, r12, #2, #2\n"
      "ldr lr, [sp, lr, lsl #2]\n"
      "and r11, lr\n"
      "smlabb r12, r10, r5, r7\n"
      "smlatt r10, r10, r5, r7\n"
      "smlabb lr, r11, r6, r7\n"
      "smlatt r11, r11, r6, r7\n"
      "asr r12, r8\n"
      "asr r10, r8\n"
      "asr lr, r8\n"
      "asr r11, r8\n"
      "strh r12, [r2]\n"
      "strh r10, [r2, r9]\n"
      "add r12, r2, r9\n"
      "strh lr, [r12, r9]\n"
      "strh r11, [r12, r9, lsl #1]\n"
      "ldr lr, [sp, #16]\n"
      "add r2, lr\n"
      "add r0, r4\n"
      "add r1, r1, r4, lsr #4\n"
      "subs r3, #1\n"
      "bne 1b\n"
      "add sp, #24\n"
      "pop {r4-r11, pc}\n");
}

}  // extern "C"
#endif
