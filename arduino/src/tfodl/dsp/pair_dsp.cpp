#include "tfodl/dsp/pair_dsp.h"

#if TFODL_DSP
// r0 weights, r1 pixels, r2-r5 a group of weights, r6-r8 and lr a group of pixels, r9-r12 the sums.
#define TFODL_GROUP             \
  "ldmia.w r0!, {r2-r5}\n"      \
  "ldmia.w r1!, {r6-r8, lr}\n"  \
  "smlad r9, r2, r6, r9\n"      \
  "smlad r10, r4, r6, r10\n"    \
  "smlad r11, r2, r8, r11\n"    \
  "smlad r12, r4, r8, r12\n"    \
  "smlad r9, r3, r7, r9\n"      \
  "smlad r10, r5, r7, r10\n"    \
  "smlad r11, r3, lr, r11\n"    \
  "smlad r12, r5, lr, r12\n"

extern "C" {

// Eight groups a turn; the first turn starts inside. Frame: 0 sums, 4 pixels_end, 8 weights, 12 bias0, 16 bias1,
// 20 bias0, 24 bias1, 28 where the first turn starts, 32 weights_end.
__attribute__((naked)) void tfodl_block_sums(const tfodl::dsp::SumBlock*) {
  __asm volatile(
      "push {r4-r11, lr}\n"
      "sub sp, #36\n"
      "ldmia r0, {r3-r9}\n"  // sums, weights, bias0, bias1, weights_end, pixels, pixels_end
      "strd r3, r9, [sp]\n"
      "strd r4, r5, [sp, #8]\n"
      "strd r6, r5, [sp, #16]\n"
      "str r6, [sp, #24]\n"
      "str r7, [sp, #32]\n"
      "mov r1, r8\n"
      "sub r7, r7, r4\n"
      "lsr r7, r7, #4\n"
      "sub r7, r7, #1\n"
      "and r7, r7, #7\n"
      "rsb r7, r7, #7\n"   // groups to leave out of the first turn
      "mov r10, #40\n"     // bytes of TFODL_GROUP
      "adr.w r9, 2f\n"
      "mla r10, r7, r10, r9\n"
      "orr r10, r10, #1\n"
      "str r10, [sp, #28]\n"
      "1: add r0, sp, #8\n"
      "ldmia r0, {r0, r9-r12, pc}\n"
      ".balign 4\n"
      "2:\n"
      TFODL_GROUP TFODL_GROUP TFODL_GROUP TFODL_GROUP
      TFODL_GROUP TFODL_GROUP TFODL_GROUP TFODL_GROUP
      "ldr r2, [sp, #32]\n"
      "cmp r0, r2\n"
      "bne 2b\n"
      "ldrd r2, r3, [sp]\n"
      "stmia r2!, {r9-r12}\n"
      "str r2, [sp]\n"
      "cmp r1, r3\n"
      "bne 1b\n"
      "add sp, #36\n"
      "pop {r4-r11, pc}\n");
}

}  // extern "C"
#endif
