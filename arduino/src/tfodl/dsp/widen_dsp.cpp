#include "tfodl/dsp/hot_dsp.h"
#include "tfodl/dsp/widen_dsp.h"

#if TFODL_DSP
// Stores take one cycle each, an STM one more than it stores.

// One group of a row: the word in `word`, r11 spare.
#define TFODL_PLAIN(word, even, odd)               \
  "sxtb16 r11, " word "\n"                         \
  "sxtb16 " word ", " word ", ror #8\n"            \
  "str.w " word ", " odd "\n"                      \
  "str.w r11, " even "\n"
#define TFODL_SCALED(word, even, odd)              \
  "and r11, r12, " word ", lsl #8\n"               \
  "and " word ", r12, " word "\n"                  \
  "str.w " word ", " odd "\n"                      \
  "str.w r11, " even "\n"
// The same plus r3, r8 spare.
#define TFODL_OFFSET(word, even, odd)              \
  "sxtab16 r8, r3, " word "\n"                     \
  "sxtab16 " word ", r3, " word ", ror #8\n"       \
  "str.w " word ", " odd "\n"                      \
  "str.w r8, " even "\n"

#define TFODL_FOUR_ROWS(name, one)                                                \
  __attribute__((naked)) uint32_t* name(const int8_t* const*, int32_t, uint32_t*) { \
    __asm volatile(                                                               \
        "push {r4-r11}\n"                                                         \
        "mov r12, #0xFF00FF00\n"                                                  \
        "ldmia r0, {r3-r6}\n"                                                     \
        "1: ldr r7, [r3], #4\n"                                                   \
        "ldr r8, [r4], #4\n"                                                      \
        "ldr r9, [r5], #4\n"                                                      \
        "ldr r10, [r6], #4\n"                                                     \
        one("r8", "[r2, #8]", "[r2, #12]")                                        \
        one("r9", "[r2, #16]", "[r2, #20]")                                       \
        one("r10", "[r2, #24]", "[r2, #28]")                                      \
        one("r7", "[r2], #32", "[r2, #4]")                                        \
        "subs r1, #1\n"                                                           \
        "bne 1b\n"                                                                \
        "mov r0, r2\n"                                                            \
        "pop {r4-r11}\n"                                                          \
        "bx lr\n");                                                               \
  }

extern "C" {

TFODL_FOUR_ROWS(tfodl_widen_four, TFODL_PLAIN)
TFODL_FOUR_ROWS(tfodl_scale_four, TFODL_SCALED)

// An odd group first, then two a turn.
__attribute__((naked)) uint32_t* tfodl_widen_pair(const int8_t*, const int8_t*, int32_t, uint32_t, uint32_t*) {
  __asm volatile(
      "push {r4-r8}\n"
      "ldr r12, [sp, #20]\n"
      "tst r2, #1\n"
      "beq 1f\n"
      "ldr r4, [r0], #4\n"
      "ldr r5, [r1], #4\n"
      TFODL_OFFSET("r5", "[r12, #8]", "[r12, #12]")
      TFODL_OFFSET("r4", "[r12], #16", "[r12, #4]")
      "subs r2, #1\n"
      "beq 2f\n"
      "1: ldr r6, [r0, #4]\n"
      "ldr r4, [r0], #8\n"
      "ldr r7, [r1, #4]\n"
      "ldr r5, [r1], #8\n"
      TFODL_OFFSET("r5", "[r12, #8]", "[r12, #12]")
      TFODL_OFFSET("r6", "[r12, #16]", "[r12, #20]")
      TFODL_OFFSET("r7", "[r12, #24]", "[r12, #28]")
      TFODL_OFFSET("r4", "[r12], #32", "[r12, #4]")
      "subs r2, #2\n"
      "bne 1b\n"
      "2: mov r0, r12\n"
      "pop {r4-r8}\n"
      "bx lr\n");
}

__attribute__((naked)) uint32_t* tfodl_widen_words(const int8_t*, int32_t, uint32_t, uint32_t*) {
  __asm volatile(
      "push {r4, r8}\n"
      "mov r12, r3\n"
      "mov r3, r2\n"
      "tst r1, #1\n"
      "beq 1f\n"
      "ldr r4, [r0], #4\n"
      TFODL_OFFSET("r4", "[r12], #16", "[r12, #4]")
      "subs r1, #1\n"
      "beq 2f\n"
      "1: ldr r2, [r0, #4]\n"
      "ldr r4, [r0], #8\n"
      TFODL_OFFSET("r2", "[r12, #16]", "[r12, #20]")
      TFODL_OFFSET("r4", "[r12], #32", "[r12, #4]")
      "subs r1, #2\n"
      "bne 1b\n"
      "2: mov r0, r12\n"
      "pop {r4, r8}\n"
      "bx lr\n");
}

#define TFODL_ROW_OF_NINE(ninth, first, second)           \
  "ldr r4, [r0]\n"                                        \
  "ldr r5, [r0, #4]\n"                                    \
  "ldrb " ninth ", [r0, #8]\n"                            \
  "add r0, r1\n"                                          \
  TFODL_OFFSET("r4", "[r12, #" first "]", "[r12, #" first "+4]")  \
  TFODL_OFFSET("r5", "[r12, #" second "]", "[r12, #" second "+4]")

__attribute__((naked)) void tfodl_widen_nines(const int8_t*, int32_t /* pitch */, uint32_t, uint32_t*) {
  __asm volatile(
      "push {r4-r9}\n"
      "mov r12, r3\n"
      "mov r3, r2\n"
      TFODL_ROW_OF_NINE("r6", "0", "16")
      TFODL_ROW_OF_NINE("r7", "32", "48")
      TFODL_ROW_OF_NINE("r9", "64", "80")
      "rsb r2, r3, #0\n"  // what becomes 0
      "orr r6, r6, r7, lsl #8\n"
      "orr r6, r6, r9, lsl #16\n"
      "orr r6, r6, r2, lsl #24\n"
      TFODL_OFFSET("r6", "[r12, #96]", "[r12, #100]")
      "pop {r4-r9}\n"
      "bx lr\n");
}

}  // extern "C"
#endif
