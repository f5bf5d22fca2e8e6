#include "block_dsp.h"

#if TFODL_DSP
// r0 weights, r1 pixels, r2-r5 a group of weights, r6-r9 a group of pixels, r10-lr the sums. Eight groups a
// turn; the first turn starts inside, at the address that PROLOGUE leaves in the frame.
#define TFODL_GROUP             \
  "ldmia.w r0!, {r2-r5}\n"      \
  "ldmia.w r1!, {r6-r9}\n"      \
  "smlad r10, r2, r6, r10\n"    \
  "smlad r11, r4, r6, r11\n"    \
  "smlad r12, r2, r8, r12\n"    \
  "smlad lr, r4, r8, lr\n"      \
  "smlad r10, r3, r7, r10\n"    \
  "smlad r11, r5, r7, r11\n"    \
  "smlad r12, r3, r9, r12\n"    \
  "smlad lr, r5, r9, lr\n"

// In: r4 weights, r7 weights_end, 16 bytes a group. Out: r10 = entry point for the first turn. Spoils r7.
#define TFODL_ENTRY(name)                                                          \
  "sub r7, r7, r4\n"                                                               \
  "lsr r7, r7, #4\n"                                                               \
  "sub r7, r7, #1\n"                                                               \
  "and r7, r7, #7\n"                                                               \
  "rsb r7, r7, #7\n"            /* groups to leave out of the first turn */        \
  "mov r10, #40\n"              /* bytes of TFODL_GROUP */                         \
  "mul r7, r7, r10\n"                                                              \
  "adr.w r10, 2f\n"                                                                \
  "add r10, r10, r7\n"                                                             \
  "orr r10, r10, #1\n"

// t = (sum * 2 * multiplier + 2^31) >> 32; y = sat8((t + offset - (t < 0)) >> right_shift).
// The sum's sign may stand for t's: they differ where t = 0, and then either gives 0.
#define TFODL_REQUANTIZE(sum, multiplier, shift, offset, at) \
  "lsl r0, " sum ", #1\n"                                    \
  "smmlar r0, r0, " multiplier ", " offset "\n"              \
  "add r0, r0, " sum ", asr #31\n"                           \
  "asr r0, r0, " shift "\n"                                  \
  "ssat r0, #8, r0\n"                                        \
  "strb r0, " at "\n"

// y = ((sum >> half_shift) + 1) >> 1 within +-32767: less 1 before the saturation, plus 1 after it.
#define TFODL_NARROW(sum, at)         \
  "asr r0, " sum ", r4\n"             \
  "sub r0, #1\n"                      \
  "ssat r0, #16, r0, asr #1\n"        \
  "qadd16 r0, r0, r5\n"               \
  "strh r0, " at "\n"                 \
  "eor r0, " sum ", " sum ", asr #31\n" \
  "sub r0, r0, " sum ", asr #31\n"    \
  "orr r6, r0\n"

extern "C" {

// Frame: 0 multiplier0 .. 20 offset1, 24 y, 28 distance, 32 weights, 36 bias0, 40 bias1, 44 weights_end,
// 48 pixels_end, 52 back, 56 entry.
__attribute__((naked)) void tfodl_block_requantize(const tfodl::dsp::RequantBlock*) {
  __asm volatile(
      "push {r4-r11, lr}\n"
      "sub sp, #60\n"
      "mov r12, sp\n"
      "ldmia r0!, {r4-r11}\n"
      "stmia r12!, {r4-r11}\n"
      "ldmia r0, {r4-r10}\n"  // weights, bias0, bias1, weights_end, pixels, pixels_end, back
      "stmia r12!, {r4-r7, r9, r10}\n"
      "mov r1, r8\n"
      TFODL_ENTRY()
      "str r10, [r12]\n"
      "1: add r0, sp, #32\n"
      "ldmia r0, {r0, r10, r11}\n"
      "mov r12, r10\n"
      "mov lr, r11\n"
      "ldr pc, [sp, #56]\n"
      ".balign 4\n"
      "2:\n"
      TFODL_GROUP TFODL_GROUP TFODL_GROUP TFODL_GROUP
      TFODL_GROUP TFODL_GROUP TFODL_GROUP TFODL_GROUP
      "ldr r2, [sp, #44]\n"
      "cmp r0, r2\n"
      "bne 2b\n"
      "ldmia sp, {r2-r9}\n"
      TFODL_REQUANTIZE("r10", "r2", "r3", "r4", "[r8]")
      TFODL_REQUANTIZE("r11", "r5", "r6", "r7", "[r8, #1]")
      "add r8, r9\n"
      TFODL_REQUANTIZE("r12", "r2", "r3", "r4", "[r8]")
      TFODL_REQUANTIZE("lr", "r5", "r6", "r7", "[r8, #1]")
      "ldr r2, [sp, #52]\n"
      "add r8, r2\n"
      "str r8, [sp, #24]\n"
      "ldr r0, [sp, #48]\n"
      "cmp r1, r0\n"
      "bne 1b\n"
      "add sp, #60\n"
      "pop {r4-r11, pc}\n");
}

// Frame: 0 sums, 4 weights, 8 bias0, 12 bias1, 16 weights_end, 20 pixels_end, 24 entry.
__attribute__((naked)) void tfodl_block_sums(const tfodl::dsp::SumBlock*) {
  __asm volatile(
      "push {r4-r11, lr}\n"
      "sub sp, #28\n"
      "mov r12, sp\n"
      "ldmia r0, {r3-r9}\n"  // sums, weights, bias0, bias1, weights_end, pixels, pixels_end
      "stmia r12!, {r3-r7}\n"
      "mov r1, r8\n"
      "str r9, [r12], #4\n"
      TFODL_ENTRY()
      "str r10, [r12]\n"
      "1: add r0, sp, #4\n"
      "ldmia r0, {r0, r10, r11}\n"
      "mov r12, r10\n"
      "mov lr, r11\n"
      "ldr pc, [sp, #24]\n"
      ".balign 4\n"
      "2:\n"
      TFODL_GROUP TFODL_GROUP TFODL_GROUP TFODL_GROUP
      TFODL_GROUP TFODL_GROUP TFODL_GROUP TFODL_GROUP
      "ldr r2, [sp, #16]\n"
      "cmp r0, r2\n"
      "bne 2b\n"
      "ldr r0, [sp, #0]\n"
      "stmia r0!, {r10, r11, r12, lr}\n"
      "str r0, [sp, #0]\n"
      "ldr r0, [sp, #20]\n"
      "cmp r1, r0\n"
      "bne 1b\n"
      "add sp, #28\n"
      "pop {r4-r11, pc}\n");
}

// Frame: 0 y, 4 distance, 8 half_shift, 12 one, 16 bits, 20 weights, 24 weights_end, 28 pixels_end, 32 back,
// 36 entry.
__attribute__((naked)) uint32_t tfodl_block_narrow(const tfodl::dsp::NarrowBlock*) {
  __asm volatile(
      "push {r4-r11, lr}\n"
      "sub sp, #44\n"
      "mov r12, sp\n"
      "ldmia r0!, {r1-r3, r8, r9}\n"
      "stmia r12!, {r1-r3, r8, r9}\n"
      "ldmia r0, {r4, r7-r10}\n"  // weights, weights_end, pixels, pixels_end, back
      "stmia r12!, {r4, r7, r9, r10}\n"
      "mov r1, r8\n"
      TFODL_ENTRY()
      "str r10, [r12]\n"
      "1: ldr r0, [sp, #20]\n"
      "mov r10, #0\n"
      "mov r11, #0\n"
      "mov r12, #0\n"
      "mov lr, #0\n"
      "ldr pc, [sp, #36]\n"
      ".balign 4\n"
      "2:\n"
      TFODL_GROUP TFODL_GROUP TFODL_GROUP TFODL_GROUP
      TFODL_GROUP TFODL_GROUP TFODL_GROUP TFODL_GROUP
      "ldr r2, [sp, #24]\n"
      "cmp r0, r2\n"
      "bne 2b\n"
      "ldmia sp, {r2-r6}\n"
      TFODL_NARROW("r10", "[r2]")
      TFODL_NARROW("r11", "[r2, #2]")
      "add r2, r3\n"
      TFODL_NARROW("r12", "[r2]")
      TFODL_NARROW("lr", "[r2, #2]")
      "ldr r3, [sp, #32]\n"
      "add r2, r3\n"
      "str r2, [sp]\n"
      "str r6, [sp, #16]\n"
      "ldr r0, [sp, #28]\n"
      "cmp r1, r0\n"
      "bne 1b\n"
      "mov r0, r6\n"
      "add sp, #44\n"
      "pop {r4-r11, pc}\n");
}

}  // extern "C"
#endif
