// How a block of block_dsp.cpp ends: the sums r5-r12 become outputs, then comes the next pair of pixels. The
// frame is the block's. A row's parameters are loaded into what the rows before it have left.
#include "tfodl/dsp/block_dsp.h"
#include "tfodl/dsp/requantize_dsp.h"

#if TFODL_DSP
// From 2^kReluBits times the sum, where a negative one may round either way: relu_offset. In place.
#define TFODL_RELU(sum, multiplier, shift, offset, at)               \
  "smmla " sum ", " sum ", " multiplier ", " offset "\n"             \
  "asr " sum ", " sum ", " shift "\n"                                \
  "ssat " sum ", #8, " sum "\n"                                      \
  "strb " sum ", " at "\n"

// t = (sum * 2 * multiplier + 2^31) >> 32; y = sat8((t + offset - (t < 0)) >> right_shift).
// The sum's sign may stand for t's: they differ where t = 0, and then either gives 0.
#define TFODL_REQUANTIZE(sum, spare, multiplier, shift, offset, at)  \
  "lsl " spare ", " sum ", #1\n"                                     \
  "smmlar " spare ", " spare ", " multiplier ", " offset "\n"        \
  "add " spare ", " spare ", " sum ", asr #31\n"                     \
  "asr " spare ", " spare ", " shift "\n"                            \
  "ssat " spare ", #8, " spare "\n"                                  \
  "strb " spare ", " at "\n"

// The short requantisation, and whether a gradient passes into the carry and then into `bits`. r3 multiplier, r4
// shift, r5 offset, r6 low, r7 range; r8 is spare. Spoils the sum.
#define TFODL_MASKED(sum, bits, at)          \
  "lsl r8, " sum ", #1\n"                    \
  "smmlar r8, r8, r3, r5\n"                  \
  "add r8, r8, " sum ", asr #31\n"           \
  "sub " sum ", r8, r6\n"                    \
  "cmp r7, " sum "\n"                        \
  "adc " bits ", " bits ", " bits "\n"       \
  "asr r8, r8, r4\n"                         \
  "ssat r8, #8, r8\n"                        \
  "strb r8, " at "\n"
// The same as TFODL_RELU does it.
#define TFODL_MASKED_RELU(sum, bits, at)     \
  "smmla " sum ", " sum ", r3, r5\n"         \
  "sub r8, " sum ", r6\n"                    \
  "cmp r7, r8\n"                             \
  "adc " bits ", " bits ", " bits "\n"       \
  "asr " sum ", " sum ", r4\n"               \
  "ssat " sum ", #8, " sum "\n"              \
  "strb " sum ", " at "\n"
// A row, the last one first: its parameters from r2 downwards.
#define TFODL_MASKED_ROW(one, first, second, at)  \
  "ldmdb r2!, {r3-r7}\n"                          \
  one(first, "r9", "[r0, #" at "]")               \
  one(second, "r10", "[lr, #" at "]")

// Frame from 56 on: y, distance, step, mask, mask_distance, mask_step, end of the rows' parameters, six spare words.
#define TFODL_STORE_MASKS(name, one)                \
  __attribute__((naked)) void name() {              \
    __asm volatile(                                 \
        "add r0, sp, #84\n"                         \
        "stmia r0, {r5-r10}\n"                      \
        "ldr r3, [sp, #68]\n"                       \
        "ldr r4, [sp, #72]\n"                       \
        "ldr r0, [sp, #56]\n"                       \
        "ldr.w lr, [sp, #60]\n"                     \
        "ldr r2, [sp, #80]\n"                       \
        "add lr, r0\n"                              \
        "ldrb.w r9, [r3]\n"                         \
        "ldrb.w r10, [r3, r4]\n"                    \
        TFODL_MASKED_ROW(one, "r11", "r12", "3")    \
        "ldrd r11, r12, [sp, #100]\n"               \
        TFODL_MASKED_ROW(one, "r11", "r12", "2")    \
        "ldrd r11, r12, [sp, #92]\n"                \
        TFODL_MASKED_ROW(one, "r11", "r12", "1")    \
        "ldrd r11, r12, [sp, #84]\n"                \
        TFODL_MASKED_ROW(one, "r11", "r12", "0")    \
        "ldr r2, [sp, #68]\n"                       \
        "ldr r3, [sp, #72]\n"                       \
        "ldr r5, [sp, #76]\n"                       \
        "ldr r6, [sp, #64]\n"                       \
        "ldr r4, [sp, #52]\n"                       \
        "strb.w r9, [r2]\n"                         \
        "strb.w r10, [r2, r3]\n"                    \
        "add r2, r5\n"                              \
        "str r2, [sp, #68]\n"                       \
        "add r0, r6\n"                              \
        TFODL_NEXT_BLOCK                            \
        TFODL_RETURN);                              \
  }

// y = ((sum >> half_shift) + 1) >> 1 within +-32767: less 1 before the saturation, plus 1 after it. r2 a fraction,
// r3 -1 in both halves, r4 the OR of all |sums|, `spare` a register.
#define TFODL_NARROW(sum, spare)                \
  "eor " spare ", " sum ", " sum ", asr #31\n"  \
  "sub " spare ", " spare ", " sum ", asr #31\n"\
  "smmlar " sum ", " sum ", r2, r3\n"           \
  "orr r4, r4, " spare "\n"                     \
  "ssat " sum ", #16, " sum "\n"
#define TFODL_NARROW_TWO(one, other, spare, at)      \
  TFODL_NARROW(one, spare)                           \
  TFODL_NARROW(other, spare)                         \
  "pkhbt " one ", " one ", " other ", lsl #16\n"     \
  "qsub16 " one ", " one ", r3\n"                    \
  "str " one ", " at "\n"

extern "C" {

// Frame from 56 on: y, distance, step, {multiplier, right_shift, offset} of the 4 rows.
__attribute__((naked)) void tfodl_store_relu() {
  __asm volatile(
      "ldr r0, [sp, #56]\n"
      "ldr r2, [sp, #60]\n"
      "ldr r3, [sp, #68]\n"
      "ldr r4, [sp, #72]\n"
      "ldr lr, [sp, #76]\n"
      "add r2, r0\n"
      TFODL_RELU("r5", "r3", "r4", "lr", "[r0]")
      TFODL_RELU("r6", "r3", "r4", "lr", "[r2]")
      "ldr r3, [sp, #80]\n"
      "ldr r4, [sp, #84]\n"
      "ldr lr, [sp, #88]\n"
      "ldr r5, [sp, #92]\n"
      "ldr r6, [sp, #96]\n"
      TFODL_RELU("r7", "r3", "r4", "lr", "[r0, #1]")
      TFODL_RELU("r8", "r3", "r4", "lr", "[r2, #1]")
      "ldr r3, [sp, #100]\n"
      "ldr r4, [sp, #104]\n"
      "ldr lr, [sp, #108]\n"
      "ldr.w r7, [sp, #112]\n"
      TFODL_RELU("r9", "r5", "r6", "r3", "[r0, #2]")
      TFODL_RELU("r10", "r5", "r6", "r3", "[r2, #2]")
      TFODL_RELU("r11", "r4", "lr", "r7", "[r0, #3]")
      TFODL_RELU("r12", "r4", "lr", "r7", "[r2, #3]")
      "ldr r3, [sp, #64]\n"
      "ldr r4, [sp, #52]\n"
      "add r0, r3\n"
      TFODL_NEXT_BLOCK
      TFODL_RETURN);
}

// The same frame; shift and offset are those of row 0.
__attribute__((naked)) void tfodl_store_relu_alike() {
  __asm volatile(
      "ldr r0, [sp, #56]\n"
      "ldr r2, [sp, #60]\n"
      "ldr r3, [sp, #68]\n"
      "ldr r4, [sp, #72]\n"
      "ldr lr, [sp, #76]\n"
      "add r2, r0\n"
      TFODL_RELU("r5", "r3", "r4", "lr", "[r0]")
      TFODL_RELU("r6", "r3", "r4", "lr", "[r2]")
      "ldr r3, [sp, #80]\n"
      "ldr r5, [sp, #92]\n"
      "ldr r6, [sp, #104]\n"
      TFODL_RELU("r7", "r3", "r4", "lr", "[r0, #1]")
      TFODL_RELU("r8", "r3", "r4", "lr", "[r2, #1]")
      TFODL_RELU("r9", "r5", "r4", "lr", "[r0, #2]")
      TFODL_RELU("r10", "r5", "r4", "lr", "[r2, #2]")
      TFODL_RELU("r11", "r6", "r4", "lr", "[r0, #3]")
      TFODL_RELU("r12", "r6", "r4", "lr", "[r2, #3]")
      "ldr r3, [sp, #64]\n"
      "ldr r4, [sp, #52]\n"
      "add r0, r3\n"
      TFODL_NEXT_BLOCK
      TFODL_RETURN);
}

// The same frame.
__attribute__((naked)) void tfodl_store_requantized() {
  __asm volatile(
      "ldr r0, [sp, #56]\n"
      "ldr r3, [sp, #68]\n"
      "ldr r4, [sp, #72]\n"
      "ldr lr, [sp, #76]\n"
      TFODL_REQUANTIZE("r5", "r2", "r3", "r4", "lr", "[r0]")
      "ldr r2, [sp, #60]\n"
      "add r2, r0\n"
      TFODL_REQUANTIZE("r6", "r5", "r3", "r4", "lr", "[r2]")
      "ldr r3, [sp, #80]\n"
      "ldr r4, [sp, #84]\n"
      "ldr lr, [sp, #88]\n"
      "ldr r6, [sp, #92]\n"
      TFODL_REQUANTIZE("r7", "r5", "r3", "r4", "lr", "[r0, #1]")
      TFODL_REQUANTIZE("r8", "r5", "r3", "r4", "lr", "[r2, #1]")
      "ldr r3, [sp, #96]\n"
      "ldr r4, [sp, #100]\n"
      "ldr lr, [sp, #104]\n"
      "ldr.w r7, [sp, #108]\n"
      "ldr.w r8, [sp, #112]\n"
      TFODL_REQUANTIZE("r9", "r5", "r6", "r3", "r4", "[r0, #2]")
      TFODL_REQUANTIZE("r10", "r5", "r6", "r3", "r4", "[r2, #2]")
      TFODL_REQUANTIZE("r11", "r5", "lr", "r7", "r8", "[r0, #3]")
      TFODL_REQUANTIZE("r12", "r5", "lr", "r7", "r8", "[r2, #3]")
      "ldr r3, [sp, #64]\n"
      "ldr r4, [sp, #52]\n"
      "add r0, r3\n"
      TFODL_NEXT_BLOCK
      TFODL_RETURN);
}

TFODL_STORE_MASKS(tfodl_store_masks, TFODL_MASKED)
TFODL_STORE_MASKS(tfodl_store_relu_masks, TFODL_MASKED_RELU)

// Frame from 56 on: sums.
__attribute__((naked)) void tfodl_store_sums() {
  __asm volatile(
      "ldr r0, [sp, #56]\n"
      "ldr r4, [sp, #52]\n"
      "stmia r0!, {r5-r12}\n"
      TFODL_NEXT_BLOCK
      TFODL_RETURN);
}

// Frame from 56 on: y, distance, step, fraction, minus_one, bits.
__attribute__((naked)) void tfodl_store_narrowed() {
  __asm volatile(
      "ldr r0, [sp, #56]\n"
      "ldr r2, [sp, #68]\n"
      "ldr r3, [sp, #72]\n"
      "ldr r4, [sp, #76]\n"
      TFODL_NARROW_TWO("r5", "r7", "lr", "[r0]")
      TFODL_NARROW_TWO("r9", "r11", "lr", "[r0, #4]")
      "ldr lr, [sp, #60]\n"
      "ldr r7, [sp, #64]\n"
      "add lr, r0\n"
      "add r0, r7\n"
      TFODL_NARROW_TWO("r6", "r8", "r7", "[lr]")
      TFODL_NARROW_TWO("r10", "r12", "r7", "[lr, #4]")
      "str r4, [sp, #76]\n"
      "ldr r4, [sp, #52]\n"
      TFODL_NEXT_BLOCK
      "ldr r0, [sp, #76]\n"
      TFODL_RETURN);
}

__attribute__((naked)) void tfodl_store_masked(const tfodl::dsp::MaskedSums*) {
  __asm volatile(
      "push {r4-r11, lr}\n"
      "ldmia r0, {r0-r10}\n"
      "b 2f\n"
      "1: ldr r11, [r0]\n"
      "ldrb lr, [r3]\n"
      "add r0, r0, r5\n"
      "lsl r12, r11, #1\n"
      "smmlar r12, r12, r6, r8\n"
      "add r12, r12, r11, asr #31\n"
      "sub r11, r12, r9\n"
      "cmp r10, r11\n"
      "adc lr, lr, lr\n"
      "strb lr, [r3]\n"
      "add r3, r3, r4, lsr #3\n"
      "asr r12, r12, r7\n"
      "ssat r12, #8, r12\n"
      "strb r12, [r2]\n"
      "add r2, r2, r4\n"
      "2: cmp r0, r1\n"
      "bne 1b\n"
      "pop {r4-r11, pc}\n");
}

}  // extern "C"
#endif
