#include "tfodl/dsp/block_dsp.h"

#if TFODL_DSP
// Per 2 of the depth, 6 loads feed 8 SMLAD. Loads in a row take one cycle each and one more, so that 16 products take
// 16 cycles; for a wider block there are no registers left.
// r0 weights, r1 pixels, both less 4 bytes; r2-r4 and lr operands; r5-r12 the sums of rows 0 to 3, two pixels each.
#define TFODL_FOUR_SUMS(w0, w1, a, b, c, d) \
  "smlad " a ", " w0 ", r4, " a "\n"        \
  "smlad " b ", " w0 ", lr, " b "\n"        \
  "smlad " c ", " w1 ", r4, " c "\n"        \
  "smlad " d ", " w1 ", lr, " d "\n"
#define TFODL_TWO_DEEP(w0, w1, w2, w3, p0, p1)         \
  "ldr r2, " w0 "\n"                                   \
  "ldr r3, " w1 "\n"                                   \
  "ldr r4, " p0 "\n"                                   \
  "ldr.w lr, " p1 "\n"                                 \
  TFODL_FOUR_SUMS("r2", "r3", "r5", "r6", "r7", "r8")  \
  "ldr r2, " w2 "\n"                                   \
  "ldr.w r3, " w3 "\n"                                 \
  TFODL_FOUR_SUMS("r2", "r3", "r9", "r10", "r11", "r12")
// 96 bytes of code. `at`: where the group's weights lie; `last`: the address of their last word.
#define TFODL_GROUP(at, last)                                                                               \
  TFODL_TWO_DEEP("[r0, #" at "+4]", "[r0, #" at "+12]", "[r0, #" at "+20]", "[r0, #" at "+28]",             \
                 "[r1, #4]", "[r1, #12]")                                                                   \
  TFODL_TWO_DEEP("[r0, #" at "+8]", "[r0, #" at "+16]", "[r0, #" at "+24]", last, "[r1, #8]", "[r1, #16]!")
#define TFODL_FOUR_GROUPS                                       \
  TFODL_GROUP("0", "[r0, #32]") TFODL_GROUP("32", "[r0, #64]")  \
  TFODL_GROUP("64", "[r0, #96]") TFODL_GROUP("96", "[r0, #128]!")

extern "C" {

// Frame: Block. `skip` becomes the address where the first turn begins.
__attribute__((naked)) uint32_t tfodl_block(const void*, const uint32_t*) {
  __asm volatile(
      "push {r4-r11, lr}\n"
      "sub sp, #120\n"
      "mov r12, sp\n"
      "ldmia r0!, {r2-r11}\n"
      "stmia r12!, {r2-r11}\n"
      "ldmia r0!, {r2-r11}\n"
      "stmia r12!, {r2-r11}\n"
      "ldmia r0!, {r2-r11}\n"
      "stmia r12!, {r2-r11}\n"
      "sub r1, #4\n"
      "ldr r2, [sp, #36]\n"
      "mov r3, #96\n"
      "adr.w r4, 2f\n"
      "mla r2, r2, r3, r4\n"
      "orr r2, r2, #1\n"
      "str r2, [sp, #36]\n"
      ".global tfodl_block_next\n"
      ".thumb_func\n"
      "tfodl_block_next:\n"
      "ldmia sp, {r0, r5-r12, pc}\n"
      ".balign 4\n"
      "2:\n"
      TFODL_FOUR_GROUPS TFODL_FOUR_GROUPS TFODL_FOUR_GROUPS
      "ldr pc, [sp, #40]\n"
      ".global tfodl_block_more\n"
      ".thumb_func\n"
      "tfodl_block_more:\n"
      "ldr r2, [sp, #48]\n"
      "cmp r0, r2\n"
      "bne.w 2b\n"
      "ldr pc, [sp, #44]\n");
}

}  // extern "C"
#endif
