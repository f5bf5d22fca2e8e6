#include "rows_dsp.h"

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
#define TFODL_TIMES_5(row) row row row row row
#define TFODL_TIMES_7(row) TFODL_TIMES_5(row) row row

// The arithmetic is that of block_dsp.cpp.
#define TFODL_REQUANTIZE(sum, at) \
  "lsl r8, " sum ", #1\n"         \
  "smmlar r8, r8, r3, r5\n"       \
  "add r8, r8, " sum ", asr #31\n" \
  "asr r8, r8, r4\n"              \
  "ssat r8, #8, r8\n"             \
  "strb r8, " at "\n"
#define TFODL_STORE_REQUANTIZED        \
  "ldmia sp, {r3-r7}\n"                \
  TFODL_REQUANTIZE("r10", "[r6]")      \
  TFODL_REQUANTIZE("r11", "[r6, r7]")  \
  "add r6, r6, r7, lsl #1\n"           \
  TFODL_REQUANTIZE("r12", "[r6]")      \
  TFODL_REQUANTIZE("lr", "[r6, r7]")   \
  "add r6, r6, r7, lsl #1\n"
#define TFODL_STORE_SUMS \
  "ldr r6, [sp, #12]\n"  \
  "stmia r6!, {r10, r11, r12, lr}\n"

// The arithmetic is that of block_dsp.cpp.
#define TFODL_NARROW(sum, at)            \
  "asr r8, " sum ", r3\n"                \
  "sub r8, #1\n"                         \
  "ssat r8, #16, r8, asr #1\n"           \
  "qadd16 r8, r8, r4\n"                  \
  "strh r8, " at "\n"                    \
  "eor r8, " sum ", " sum ", asr #31\n"  \
  "sub r8, r8, " sum ", asr #31\n"       \
  "orr r5, r8\n"
#define TFODL_STORE_NARROWED       \
  "ldmia sp, {r3-r7}\n"            \
  TFODL_NARROW("r10", "[r6]")      \
  TFODL_NARROW("r11", "[r6, r7]")  \
  "add r6, r6, r7, lsl #1\n"       \
  TFODL_NARROW("r12", "[r6]")      \
  TFODL_NARROW("lr", "[r6, r7]")   \
  "add r6, r6, r7, lsl #1\n"       \
  "str r5, [sp, #8]\n"

// The frame is the first 13 words of RowsBlock: 12 y, 20 bias, 24 weights, 28 x_back, 32 quads_left,
// 36 quads, 40 x_skip, 44 y_skip, 48 rows.
#define TFODL_ROWS(type, name, block, rows, store)     \
  __attribute__((naked)) type name(const tfodl::dsp::block*) { \
    __asm volatile(                                    \
        "push {r4-r11, lr}\n"                          \
        "sub sp, #52\n"                                \
        "mov r12, sp\n"                                \
        "ldmia r0!, {r1-r11}\n"                        \
        "stmia r12!, {r1-r11}\n"                       \
        "ldmia r0!, {r3-r4}\n"                         \
        "stmia r12!, {r3-r4}\n"                        \
        "ldrd r0, r2, [r0]\n"                          \
        "1: ldrd r10, r1, [sp, #20]\n"                 \
        "mov r11, r10\n"                               \
        "mov r12, r10\n"                               \
        "mov lr, r10\n"                                \
        rows                                           \
        "ldr r3, [sp, #28]\n"                          \
        "sub r0, r3\n"                                 \
        store                                          \
        "str r6, [sp, #12]\n"                          \
        "ldr r3, [sp, #32]\n"                          \
        "subs r3, #1\n"                                \
        "str r3, [sp, #32]\n"                          \
        "bne.w 1b\n"                                   \
        "ldrd r3, r4, [sp, #36]\n"                     \
        "str r3, [sp, #32]\n"                          \
        "add r0, r4\n"                                 \
        "ldrd r3, r4, [sp, #44]\n"                     \
        "add r6, r3\n"                                 \
        "str r6, [sp, #12]\n"                          \
        "subs r4, #1\n"                                \
        "str r4, [sp, #48]\n"                          \
        "bne.w 1b\n"                                   \
        "ldr r0, [sp, #8]\n"                           \
        "add sp, #52\n"                                \
        "pop {r4-r11, pc}\n");                         \
  }

extern "C" {
TFODL_ROWS(void, tfodl_rows_requantize_3_1, RowsBlock, TFODL_TIMES_3(TFODL_ROW_3_1), TFODL_STORE_REQUANTIZED)
TFODL_ROWS(void, tfodl_rows_requantize_3_2, RowsBlock, TFODL_TIMES_3(TFODL_ROW_3_2), TFODL_STORE_REQUANTIZED)
TFODL_ROWS(void, tfodl_rows_requantize_5_1, RowsBlock, TFODL_TIMES_5(TFODL_ROW_5_1), TFODL_STORE_REQUANTIZED)
TFODL_ROWS(void, tfodl_rows_requantize_5_2, RowsBlock, TFODL_TIMES_5(TFODL_ROW_5_2), TFODL_STORE_REQUANTIZED)
TFODL_ROWS(void, tfodl_rows_requantize_7_1, RowsBlock, TFODL_TIMES_7(TFODL_ROW_7_1), TFODL_STORE_REQUANTIZED)
TFODL_ROWS(void, tfodl_rows_requantize_7_2, RowsBlock, TFODL_TIMES_7(TFODL_ROW_7_2), TFODL_STORE_REQUANTIZED)
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
