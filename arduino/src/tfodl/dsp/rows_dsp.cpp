#include "tfodl/dsp/rows_dsp.h"

#if TFODL_DSP
// r0 plane, r1 weights, r2 bytes of a row of the plane, r3-r4 weights, r5-r9 up to ten inputs {x[2j], x[2j+1]},
// r10, r11, r12, lr the sums of 4 neighbours in a row. Weights of one kernel row, stride 1:
// {w0, w1}, {w1, w2}, {w2, w3}, ... ; stride 2: {w0, w1}, {w2, w3}, ..., {w[k-1], 0}.

#define TFODL_INPUTS(registers) \
  "ldmia r0, {" registers "}\n" \
  "add r0, r2\n"
#define TFODL_WEIGHTS "ldmia r1!, {r3, r4}\n"

// Stride 1. Weights 2j .. 2j+2; a, b, c hold inputs 2j .. 2j+5.
#define TFODL_STEP(a, b, c)       \
  "smlad r10, " a ", r3, r10\n"   \
  "smlad r11, " b ", r4, r11\n"   \
  "smlad r12, " b ", r3, r12\n"   \
  "smlad lr, " c ", r4, lr\n"
#define TFODL_FIRST(a, b)         /* weight 0 of the odd outputs */ \
  "smlatb r11, " a ", r3, r11\n"  \
  "smlatb lr, " b ", r3, lr\n"
#define TFODL_LAST(b, c)          /* the last weight of the even outputs */ \
  "smlabt r10, " b ", r4, r10\n"  \
  "smlabt r12, " c ", r4, r12\n"
#define TFODL_ROW_3_1                                                            \
  TFODL_INPUTS("r5, r6, r7") TFODL_WEIGHTS TFODL_STEP("r5", "r6", "r7")          \
  TFODL_FIRST("r5", "r6") TFODL_LAST("r6", "r7")
#define TFODL_ROW_5_1                                                            \
  TFODL_INPUTS("r5, r6, r7, r8") TFODL_WEIGHTS TFODL_STEP("r5", "r6", "r7")      \
  TFODL_FIRST("r5", "r6")                                                        \
  TFODL_WEIGHTS TFODL_STEP("r6", "r7", "r8") TFODL_LAST("r7", "r8")
#define TFODL_ROW_7_1                                                            \
  TFODL_INPUTS("r5, r6, r7, r8, r9") TFODL_WEIGHTS TFODL_STEP("r5", "r6", "r7")  \
  TFODL_FIRST("r5", "r6")                                                        \
  TFODL_WEIGHTS TFODL_STEP("r6", "r7", "r8")                                     \
  TFODL_WEIGHTS TFODL_STEP("r7", "r8", "r9") TFODL_LAST("r8", "r9")

// Stride 2. One pair of weights times the inputs of 4 outputs.
#define TFODL_PAIR(w, a, b, c, d)       \
  "smlad r10, " a ", " w ", r10\n"      \
  "smlad r11, " b ", " w ", r11\n"      \
  "smlad r12, " c ", " w ", r12\n"      \
  "smlad lr, " d ", " w ", lr\n"
#define TFODL_TWO_PAIRS                                                          \
  "ldmia r0, {r5-r9}\n" TFODL_WEIGHTS                                            \
  TFODL_PAIR("r3", "r5", "r6", "r7", "r8") TFODL_PAIR("r4", "r6", "r7", "r8", "r9")
#define TFODL_ROW_3_2 TFODL_TWO_PAIRS "add r0, r2\n"
#define TFODL_ROW_5_2                                                            \
  TFODL_TWO_PAIRS                                                                \
  "ldr r5, [r0, #20]\n"                                                          \
  "ldr r3, [r1], #4\n"                                                           \
  TFODL_PAIR("r3", "r7", "r8", "r9", "r5") "add r0, r2\n"
#define TFODL_ROW_7_2                                                            \
  TFODL_TWO_PAIRS                                                                \
  "ldrd r5, r6, [r0, #20]\n" TFODL_WEIGHTS                                       \
  TFODL_PAIR("r3", "r7", "r8", "r9", "r5") TFODL_PAIR("r4", "r8", "r9", "r5", "r6") "add r0, r2\n"

#define TFODL_TIMES_3(row) row row row
// Row after row until the weights are used up.
#define TFODL_TIMES_MORE(row)  \
  "3:\n"                       \
  row                          \
  "ldr r3, [sp, #64]\n"        \
  "cmp r1, r3\n"               \
  "bne.n 3b\n"
#define TFODL_TIMES_5(row) TFODL_TIMES_MORE(row)
#define TFODL_TIMES_7(row) TFODL_TIMES_MORE(row)

// The arithmetic is that of block_dsp.cpp. r3 y, r4 multiplier, r5 shift, r6 offset, r7 stride.
#define TFODL_RELU(sum, at)      \
  "smmla r8, " sum ", r4, r6\n"  \
  "asr r8, r8, r5\n"             \
  "ssat r8, #8, r8\n"            \
  "strb r8, " at "\n"
// r4 shift - 1, r5 1, r6 the OR of all |sums|.
#define TFODL_NARROW(sum, at)            \
  "asr r8, " sum ", r4\n"                \
  "sub r8, #1\n"                         \
  "ssat r8, #16, r8, asr #1\n"           \
  "qadd16 r8, r8, r5\n"                  \
  "strh r8, " at "\n"                    \
  "eor r8, " sum ", " sum ", asr #31\n"  \
  "sub r8, r8, " sum ", asr #31\n"       \
  "orr r6, r8\n"
#define TFODL_STORE(one)        \
  one("r10", "[r3]")            \
  one("r11", "[r3, r7]")        \
  "add r3, r3, r7, lsl #1\n"    \
  one("r12", "[r3]")            \
  one("lr", "[r3, r7]")         \
  "add r3, r3, r7, lsl #1\n"
#define TFODL_STORE_RELU TFODL_STORE(TFODL_RELU)
#define TFODL_STORE_SUMS "stmia r3!, {r10-r12, lr}\n"
#define TFODL_STORE_NARROWED TFODL_STORE(TFODL_NARROW) "str r6, [sp, #16]\n"

// Frame: 0 quads_left, 4 y, 8 multiplier, 12 right_shift, 16 offset, 20 stride, 24 x_back, 28 weights, 32 bias four
// times, 48 quads, 52 x_skip, 56 y_skip, 60 rows, 64 weights_end.
#define TFODL_ROWS(type, name, block, rows, store)     \
  __attribute__((naked)) type name(const tfodl::dsp::block*) { \
    __asm volatile(                                    \
        "push {r4-r11, lr}\n"                          \
        "sub sp, #68\n"                                \
        "mov r12, sp\n"                                \
        "ldmia r0!, {r1, r3-r9}\n"                     \
        "stmia r12!, {r1, r3-r9}\n"                    \
        "ldr r1, [r0], #4\n"                           \
        "mov r3, r1\n"                                 \
        "mov r4, r1\n"                                 \
        "mov r5, r1\n"                                 \
        "stmia r12!, {r1, r3-r5}\n"                    \
        "ldmia r0!, {r1, r3-r5}\n"                     \
        "stmia r12!, {r1, r3-r5}\n"                    \
        "ldmia r0, {r0, r2, r3}\n"                     \
        "str r3, [sp, #64]\n"                          \
        "1: add r1, sp, #28\n"                         \
        "ldmia r1, {r1, r10-r12, lr}\n"                \
        rows                                           \
        "ldmia sp, {r1, r3-r7, r9}\n"                  \
        "sub r0, r9\n"                                 \
        store                                          \
        "subs r1, #1\n"                                \
        "strd r1, r3, [sp]\n"                          \
        "bne.w 1b\n"                                   \
        "add r4, sp, #48\n"                            \
        "ldmia r4, {r4-r7}\n"                          \
        "add r0, r5\n"                                 \
        "add r3, r6\n"                                 \
        "strd r4, r3, [sp]\n"                          \
        "subs r7, #1\n"                                \
        "str r7, [sp, #60]\n"                          \
        "bne.w 1b\n"                                   \
        "ldr r0, [sp, #16]\n"                          \
        "add sp, #68\n"                                \
        "pop {r4-r11, pc}\n");                         \
  }

extern "C" {
TFODL_ROWS(void, tfodl_rows_relu_3_1, RowsBlock, TFODL_TIMES_3(TFODL_ROW_3_1), TFODL_STORE_RELU)
TFODL_ROWS(void, tfodl_rows_relu_3_2, RowsBlock, TFODL_TIMES_3(TFODL_ROW_3_2), TFODL_STORE_RELU)
TFODL_ROWS(void, tfodl_rows_relu_5_1, RowsBlock, TFODL_TIMES_5(TFODL_ROW_5_1), TFODL_STORE_RELU)
TFODL_ROWS(void, tfodl_rows_relu_5_2, RowsBlock, TFODL_TIMES_5(TFODL_ROW_5_2), TFODL_STORE_RELU)
TFODL_ROWS(void, tfodl_rows_relu_7_1, RowsBlock, TFODL_TIMES_7(TFODL_ROW_7_1), TFODL_STORE_RELU)
TFODL_ROWS(void, tfodl_rows_relu_7_2, RowsBlock, TFODL_TIMES_7(TFODL_ROW_7_2), TFODL_STORE_RELU)
TFODL_ROWS(void, tfodl_rows_sums_3_1, RowsBlock, TFODL_TIMES_3(TFODL_ROW_3_1), TFODL_STORE_SUMS)
TFODL_ROWS(void, tfodl_rows_sums_3_2, RowsBlock, TFODL_TIMES_3(TFODL_ROW_3_2), TFODL_STORE_SUMS)
TFODL_ROWS(void, tfodl_rows_sums_5_1, RowsBlock, TFODL_TIMES_5(TFODL_ROW_5_1), TFODL_STORE_SUMS)
TFODL_ROWS(void, tfodl_rows_sums_5_2, RowsBlock, TFODL_TIMES_5(TFODL_ROW_5_2), TFODL_STORE_SUMS)
TFODL_ROWS(void, tfodl_rows_sums_7_1, RowsBlock, TFODL_TIMES_7(TFODL_ROW_7_1), TFODL_STORE_SUMS)
TFODL_ROWS(void, tfodl_rows_sums_7_2, RowsBlock, TFODL_TIMES_7(TFODL_ROW_7_2), TFODL_STORE_SUMS)
TFODL_ROWS(uint32_t, tfodl_rows_narrow_3, NarrowRowsBlock, TFODL_TIMES_3(TFODL_ROW_3_1), TFODL_STORE_NARROWED)
TFODL_ROWS(uint32_t, tfodl_rows_narrow_5, NarrowRowsBlock, TFODL_TIMES_5(TFODL_ROW_5_1), TFODL_STORE_NARROWED)
TFODL_ROWS(uint32_t, tfodl_rows_narrow_7, NarrowRowsBlock, TFODL_TIMES_7(TFODL_ROW_7_1), TFODL_STORE_NARROWED)
}
#endif
