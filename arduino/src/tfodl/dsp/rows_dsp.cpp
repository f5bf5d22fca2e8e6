#include "tfodl/detail/cold.h"
#include "tfodl/dsp/rows_dsp.h"

#if TFODL_DSP
// Four neighbours of a row are summed over the rows of the kernel. For each row its weights and the inputs under it
// come by loads that follow each other, which take one cycle each; an SMLAD multiplies two neighbours by two weights.
// The first row sets out from the bias. The code of a row of large kernels stands twice, and is gone over until the
// weights are used up; kernels that lack rows (strided gradients) begin somewhere within.
//
// r0 plane, r1 weights, r2 bytes of a row of the plane, r3-r4 weights, r5-r9 inputs {x[2j], x[2j+1]}, r10, r11, r12,
// lr the sums. Weights of a row, stride 1: {w0, w1}, {w1, w2}, {w2, w3}, ... ; stride 2: {w0, w1}, {w2, w3}, ...,
// {w[k-1], 0}.
// Frame: 0 weights, 4 x_back, 8 multiplier, 12 right_shift, 16 offset, 20 stride, 24 y, 28 where the plane's row ends
// (0: not kRelu), 32 bias, 36 first_row, 40 other_rows, 44 end, 48 where the plane's row ends, 52 rows, 56 x_skip,
// 60 y_skip, 64 x_row, 68 relu_mask, 72 low, 76 range, 80 mask, 84 row_bytes, 88 rest of the block, 92 surplus, 96 x,
// 100 weights_end, 104 behind the quads.

#define TFODL_LOAD(to, at) "ldr " to ", [r0, #" at "]\n"
#define TFODL_WEIGHT(to) "ldr " to ", [r1], #4\n"
#define TFODL_WEIGHTS TFODL_WEIGHT("r3") TFODL_WEIGHT("r4")  // behind other loads
#define TFODL_MORE_WEIGHTS "ldmia r1!, {r3, r4}\n"
#define TFODL_INPUTS_3 TFODL_LOAD("r5", "0") TFODL_LOAD("r6", "4") TFODL_LOAD("r7", "8")
#define TFODL_INPUTS_4 TFODL_INPUTS_3 TFODL_LOAD("r8", "12")
#define TFODL_INPUTS_5 TFODL_INPUTS_4 TFODL_LOAD("r9", "16")

// Stride 1. Weights 2j .. 2j+2; a, b, c hold inputs 2j .. 2j+5. The sums start from s, t, u and r10.
#define TFODL_STEP_FROM(a, b, c, s, t, u)  \
  "smlad r11, " b ", r4, " s "\n"          \
  "smlad r12, " b ", r3, " t "\n"          \
  "smlad lr, " c ", r4, " u "\n"           \
  "smlad r10, " a ", r3, r10\n"
#define TFODL_STEP(a, b, c) TFODL_STEP_FROM(a, b, c, "r11", "r12", "lr")
#define TFODL_FIRST(a, b)         /* weight 0 of the odd outputs */ \
  "smlatb r11, " a ", r3, r11\n"  \
  "smlatb lr, " b ", r3, lr\n"
#define TFODL_LAST(b, c)          /* the last weight of the even outputs */ \
  "smlabt r10, " b ", r4, r10\n"  \
  "smlabt r12, " c ", r4, r12\n"
#define TFODL_ROW_3_1(s, t, u)                                                   \
  TFODL_INPUTS_3 TFODL_WEIGHTS TFODL_STEP_FROM("r5", "r6", "r7", s, t, u)        \
  TFODL_FIRST("r5", "r6") TFODL_LAST("r6", "r7")
#define TFODL_ROW_5_1(s, t, u)                                                   \
  TFODL_INPUTS_4 TFODL_WEIGHTS TFODL_STEP_FROM("r5", "r6", "r7", s, t, u)        \
  TFODL_FIRST("r5", "r6")                                                        \
  TFODL_MORE_WEIGHTS TFODL_STEP("r6", "r7", "r8") TFODL_LAST("r7", "r8")
#define TFODL_ROW_7_1(s, t, u)                                                   \
  TFODL_INPUTS_5 TFODL_WEIGHTS TFODL_STEP_FROM("r5", "r6", "r7", s, t, u)        \
  TFODL_FIRST("r5", "r6")                                                        \
  TFODL_MORE_WEIGHTS TFODL_STEP("r6", "r7", "r8")                                \
  TFODL_MORE_WEIGHTS TFODL_STEP("r7", "r8", "r9") TFODL_LAST("r8", "r9")

// Stride 2. One pair of weights times the inputs of 4 outputs.
#define TFODL_PAIR_FROM(w, a, b, c, d, s, t, u)  \
  "smlad r11, " b ", " w ", " s "\n"             \
  "smlad r12, " c ", " w ", " t "\n"             \
  "smlad lr, " d ", " w ", " u "\n"              \
  "smlad r10, " a ", " w ", r10\n"
#define TFODL_PAIR(w, a, b, c, d) TFODL_PAIR_FROM(w, a, b, c, d, "r11", "r12", "lr")
#define TFODL_ROW_3_2(s, t, u)                                                   \
  TFODL_INPUTS_5 TFODL_WEIGHTS TFODL_PAIR_FROM("r3", "r5", "r6", "r7", "r8", s, t, u) \
  TFODL_PAIR("r4", "r6", "r7", "r8", "r9")
#define TFODL_ROW_5_2(s, t, u)                                                   \
  TFODL_ROW_3_2(s, t, u) TFODL_LOAD("r5", "20") TFODL_WEIGHT("r3")               \
  TFODL_PAIR("r3", "r7", "r8", "r9", "r5")
#define TFODL_ROW_7_2(s, t, u)                                                   \
  TFODL_ROW_3_2(s, t, u) TFODL_LOAD("r5", "20") TFODL_LOAD("r6", "24") TFODL_WEIGHTS \
  TFODL_PAIR("r3", "r7", "r8", "r9", "r5") TFODL_PAIR("r4", "r8", "r9", "r5", "r6")

// The arithmetic is that of block_dsp.cpp. r4 multiplier, r5 shift, r6 offset, r7 stride, r8 y, r3 two outputs on.
#define TFODL_RELU(sum, at)              \
  "smmla " sum ", " sum ", r4, r6\n"     \
  "asr " sum ", r5\n"                    \
  "ssat " sum ", #8, " sum "\n"          \
  "strb " sum ", " at "\n"
// r4 shift, r5 1, r6 the OR of all |2 sum|.
#define TFODL_NARROW(sum, at)            \
  "asr r1, " sum ", r4\n"                \
  "sub r1, #1\n"                         \
  "ssat r1, #16, r1, asr #1\n"           \
  "qadd16 r1, r1, r5\n"                  \
  "strh r1, " at "\n"                    \
  "eor r1, " sum ", " sum ", asr #31\n"  \
  "sub r1, r1, " sum ", asr #31\n"       \
  "orr r6, r1\n"
// r0 mask, r1 its step, r2 low, r9 range.
#define TFODL_MASKED(sum)                \
  "smmla " sum ", " sum ", r4, r6\n"     \
  "sub r3, " sum ", r2\n"                \
  "cmp r9, r3\n"                         \
  "ldrb r3, [r0]\n"                      \
  "adc r3, r3, r3\n"                     \
  "strb r3, [r0]\n"                      \
  "add r0, r1\n"                         \
  "asr " sum ", r5\n"                    \
  "ssat " sum ", #8, " sum "\n"          \
  "strb " sum ", [r8]\n"                 \
  "add r8, r7\n"

// Two outputs of a row: r12 and lr, which sets out from s.
#define TFODL_PAIR_OF_OUTPUTS(s)   \
  "ldr r3, [r0]\n"                 \
  "ldr r9, [r0, #4]\n"             \
  "ldr r10, [r1], #4\n"            \
  "ldr r11, [r1], #4\n"            \
  "smlatb lr, r3, r10, " s "\n"    \
  "smlad r12, r3, r10, r12\n"      \
  "smlad lr, r9, r11, lr\n"        \
  "smlabt r12, r9, r11, r12\n"

#define TFODL_NEXT_QUAD "it lo\n" "ldrlo pc, [sp, #36]\n" "b.w .Lrows_next\n"

// Back to the first of `name`'s rows until the weights are used up: two rows stand for the many of a large kernel.
#define TFODL_AGAIN(name) "ldr r3, [sp, #100]\n" "cmp r1, r3\n" "bne.w .Lrows_more_" name "\n"

// A kernel of k rows: `more` after the first in code. `reload`: the frame's first words, r8 and r9 only where the rows
// use them.
#define TFODL_KERNEL(name, row, more, loop, reload, keep, then)                  \
  ".Lrows_whole_" name ":\n"                                                     \
  "ldr r10, [sp, #32]\n"                                                         \
  row("r10", "r10", "r10")                                                       \
  ".Lrows_more_" name ":\n"                                                     \
  ".rept " more "\n"                                                             \
  "add r0, r2\n"                                                                 \
  row("r11", "r12", "lr")                                                        \
  ".endr\n"                                                                      \
  loop                                                                           \
  "ldmia sp, {r1, r3-" reload "}\n"                                              \
  "sub r0, r3\n"                                                                 \
  "cmp r0, r9\n"                                                                 \
  "bhi.w .Lrows_other\n"                                                         \
  "add r3, r8, r7, lsl #1\n"                                                     \
  TFODL_RELU("lr", "[r3, r7]")                                                   \
  TFODL_RELU("r12", "[r3]")                                                      \
  TFODL_RELU("r11", "[r8, r7]")                                                  \
  TFODL_RELU("r10", "[r8]")                                                      \
  "add r8, r8, r7, lsl #2\n"                                                     \
  keep                                                                           \
  "blo.w .Lrows_whole_" name "\n"                                                \
  then
#define TFODL_KERNEL_WORDS(name, more)                                           \
  ".word .Lrows_whole_" name " + 1, .Lrows_more_" name " + 1\n"                   \
  ".word .Lrows_more_" name " - .Lrows_whole_" name " - 2, " more "\n"

extern "C" __attribute__((naked)) void tfodl_rows(tfodl::dsp::RowsBlock*) {
  __asm volatile(
      "push {r4-r11, lr}\n"
      "sub sp, #108\n"
      "ldmia r0!, {r1-r12}\n"
      "str r12, [sp, #104]\n"
      "str r1, [sp, #4]\n"
      "str r2, [sp, #20]\n"
      "add r12, sp, #36\n"
      "stmia r12, {r3-r5}\n"
      "str r6, [sp, #92]\n"
      "add r12, sp, #56\n"
      "stmia r12, {r7-r10}\n"
      "strd r11, r0, [sp, #84]\n"
      // One channel. r0 x, r1 weights, r3 factors, r4 rows, r5 mask, r6 width, r7 used_bytes, r8 y.
      ".Lrows_channel:\n"
      "ldr r12, [sp, #88]\n"
      "ldmia r12, {r0, r1, r3-r8}\n"
      "str r1, [sp]\n"
      "add r7, r1\n"
      "str r7, [sp, #100]\n"
      "add r6, r0\n"
      "strd r6, r4, [sp, #48]\n"
      "str r5, [sp, #80]\n"
      "ldr r2, [sp, #84]\n"
      "ldr r9, [sp, #68]\n"
      "and r9, r6\n"
      "strd r8, r9, [sp, #24]\n"
      "ldmia r3, {r4-r7, r10, r11}\n"
      "str r4, [sp, #32]\n"
      "add r12, sp, #8\n"
      "stmia r12, {r5-r7}\n"
      "strd r10, r11, [sp, #72]\n"
      "ldr pc, [sp, #36]\n"
      // The next row of outputs.
      ".Lrows_next:\n"
      "add r3, sp, #48\n"
      "ldmia r3, {r4-r7, r10, r11}\n"
      "subs r5, #1\n"
      "beq.n 1f\n"
      "add r0, r6\n"
      "add r8, r7\n"
      "add r4, r10\n"
      "and r9, r4, r11\n"
      "strd r4, r5, [sp, #48]\n"
      "strd r8, r9, [sp, #24]\n"
      "ldr pc, [sp, #36]\n"
      // The channel before it.
      "1: ldr r12, [sp, #88]\n"
      "ldr r2, [sp, #16]\n"
      "ldmia r12, {r0, r1, r3}\n"
      "str r2, [r3, #12]\n"
      "add r4, r12, #28\n"
      "ldmia r4, {r5-r9}\n"  // y, channels, weight_bytes, plane_bytes, y_bytes
      "sub r0, r8\n"
      "sub r1, r7\n"
      "sub r3, #24\n"
      "stmia r12, {r0, r1, r3}\n"
      "sub r5, r9\n"
      "subs r6, #1\n"
      "strd r5, r6, [r4]\n"
      "bne .Lrows_channel\n"
      "add sp, #108\n"
      "pop {r4-r11, pc}\n"

      // kRelu where not all of the 4 outputs count.
      ".Lrows_relu:\n"
      "ldr r1, [sp, #92]\n"
      "add r3, r8, r7, lsl #1\n"
      "tbb [pc, r1]\n"
      "1: .byte 0, (2f - 1b) / 2, (3f - 1b) / 2, (4f - 1b) / 2\n"
      "2:\n" TFODL_RELU("r12", "[r3]")
      "3:\n" TFODL_RELU("r11", "[r8, r7]")
      "4:\n" TFODL_RELU("r10", "[r8]")
      "ldr r1, [sp]\n"
      "add r8, r8, r7, lsl #2\n"
      "b .Lrows_next\n"

      // 3x3, kRelu: the last one or two outputs of a row behind the whole quads.
      ".Lrows_pair:\n"
      "ldr r12, [sp, #32]\n"
      TFODL_PAIR_OF_OUTPUTS("r12")
      "add r0, r2\n"
      TFODL_PAIR_OF_OUTPUTS("lr")
      "add r0, r2\n"
      TFODL_PAIR_OF_OUTPUTS("lr")
      "ldr r1, [sp]\n"
      "ldr r3, [sp, #92]\n"
      "sub r0, r0, r2, lsl #1\n"
      TFODL_RELU("r12", "[r8]")
      "cbnz r3, 1f\n"
      TFODL_RELU("lr", "[r8, r7]")
      "1: b .Lrows_next\n"

      ".Lrows_masked:\n"
      "ldr r3, [sp, #48]\n"
      "str r0, [sp, #96]\n"
      "cmp r0, r3\n"
      "ldr r0, [sp, #80]\n"
      "ldrd r2, r9, [sp, #72]\n"
      "lsr r1, r7, #3\n"
      "bls.n 4f\n"
      "ldr r3, [sp, #92]\n"  // those that count become the last ones
      "cmp r3, #2\n"
      "itttt lo\n"
      "movlo lr, r12\n"
      "movlo r12, r11\n"
      "movlo r11, r10\n"
      "blo 5f\n"
      "ittt eq\n"
      "moveq lr, r11\n"
      "moveq r12, r10\n"
      "beq 6f\n"
      "mov lr, r10\n"
      "b 7f\n"
      "4:\n" TFODL_MASKED("r10")
      "5:\n" TFODL_MASKED("r11")
      "6:\n" TFODL_MASKED("r12")
      "7:\n" TFODL_MASKED("lr")
      "str r0, [sp, #80]\n"
      "str r8, [sp, #24]\n"
      "ldr r0, [sp, #96]\n"
      "ldr r2, [sp, #84]\n"
      "ldr r3, [sp, #48]\n"
      "ldr r1, [sp]\n"
      "mov r9, #0\n"
      "cmp r0, r3\n"
      TFODL_NEXT_QUAD

      "8: ldr r1, [sp, #92]\n"
      "tbb [pc, r1]\n"
      "1: .byte 0, (2f - 1b) / 2, (3f - 1b) / 2, (4f - 1b) / 2\n"
      ".Lrows_narrow:\n"
      "ldr r1, [sp, #48]\n"
      "add r3, r8, r7, lsl #1\n"
      "cmp r0, r1\n"
      "bhi.n 8b\n"
      TFODL_NARROW("lr", "[r3, r7]")
      "2:\n" TFODL_NARROW("r12", "[r3]")
      "3:\n" TFODL_NARROW("r11", "[r8, r7]")
      "4:\n" TFODL_NARROW("r10", "[r8]")
      "add r8, r8, r7, lsl #2\n"
      "str r6, [sp, #16]\n"
      "str r8, [sp, #24]\n"
      "ldr r1, [sp]\n"
      TFODL_NEXT_QUAD

      ".Lrows_sums:\n"
      "ldr r3, [sp, #48]\n"
      "stmia r8!, {r10-r12, lr}\n"
      "str r8, [sp, #24]\n"
      "cmp r0, r3\n"
      TFODL_NEXT_QUAD

      ".Lrows_other:\n"
      "ldr pc, [sp, #44]\n"

      // Not all rows of the kernel: the last ones of the code.
      ".Lrows_part:\n"
      "ldr r10, [sp, #32]\n"
      "mov r11, r10\n"
      "mov r12, r10\n"
      "mov lr, r10\n"
      "ldr pc, [sp, #40]\n"

      TFODL_KERNEL("3_1", TFODL_ROW_3_1, "2", "", "r7", "", "ldr pc, [sp, #104]\n")
      TFODL_KERNEL("3_2", TFODL_ROW_3_2, "2", "", "r9", "str r8, [sp, #24]\n", "b.w .Lrows_next\n")
      TFODL_KERNEL("5_1", TFODL_ROW_5_1, "2", TFODL_AGAIN("5_1"), "r9", "str r8, [sp, #24]\n", "b.w .Lrows_next\n")
      TFODL_KERNEL("5_2", TFODL_ROW_5_2, "2", TFODL_AGAIN("5_2"), "r9", "str r8, [sp, #24]\n", "b.w .Lrows_next\n")
      TFODL_KERNEL("7_1", TFODL_ROW_7_1, "2", TFODL_AGAIN("7_1"), "r9", "str r8, [sp, #24]\n", "b.w .Lrows_next\n")
      TFODL_KERNEL("7_2", TFODL_ROW_7_2, "2", TFODL_AGAIN("7_2"), "r9", "str r8, [sp, #24]\n", "b.w .Lrows_next\n")

      ".balign 4\n"
      ".global tfodl_rows_kernels\n"
      "tfodl_rows_kernels:\n"
      TFODL_KERNEL_WORDS("3_1", "2")
      TFODL_KERNEL_WORDS("3_2", "2")
      TFODL_KERNEL_WORDS("5_1", "2")
      TFODL_KERNEL_WORDS("5_2", "2")
      TFODL_KERNEL_WORDS("7_1", "2")
      TFODL_KERNEL_WORDS("7_2", "2")
      ".global tfodl_rows_ends\n"
      "tfodl_rows_ends:\n"
      ".word .Lrows_relu + 1, .Lrows_masked + 1, .Lrows_narrow + 1, .Lrows_sums + 1\n"
      ".word .Lrows_part + 1, .Lrows_next + 1, .Lrows_pair + 1\n");
}
#endif
