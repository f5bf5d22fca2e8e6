#include "tfodl/dsp/block_dsp.h"

#if TFODL_DSP
// r0 weights, r1 pixels, r2-r5 a group of weights, r6-r8 and lr a group of pixels, r9-r12 the sums. Eight groups
// a turn; the first turn starts inside, at the address that TFODL_ENTRY finds.
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

// In: r4 weights, r7 weights_end, 16 bytes a group. Out: r10 = entry point for the first turn. Spoils r7.
#define TFODL_ENTRY                                                                \
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

// All groups of one pair of pixels. The frame holds from `start` on: weights, the first values of r9-r12, entry;
// weights_end at `end`.
#define TFODL_PRODUCTS(start, end)                \
  "1: add r0, sp, #" start "\n"                   \
  "ldmia r0, {r0, r9-r12, pc}\n"                  \
  ".balign 4\n"                                   \
  "2:\n"                                          \
  TFODL_GROUP TFODL_GROUP TFODL_GROUP TFODL_GROUP \
  TFODL_GROUP TFODL_GROUP TFODL_GROUP TFODL_GROUP \
  "ldr r2, [sp, #" end "]\n"                      \
  "cmp r0, r2\n"                                  \
  "bne 2b\n"

// t = (sum * 2 * multiplier + 2^31) >> 32; y = sat8((t + offset - (t < 0)) >> right_shift).
// The sum's sign may stand for t's: they differ where t = 0, and then either gives 0.
#define TFODL_REQUANTIZE(sum, multiplier, shift, offset, at) \
  "lsl r0, " sum ", #1\n"                                    \
  "smmlar r0, r0, " multiplier ", " offset "\n"              \
  "add r0, r0, " sum ", asr #31\n"                           \
  "asr r0, r0, " shift "\n"                                  \
  "ssat r0, #8, r0\n"                                        \
  "strb r0, " at "\n"

// The same from 2^kReluBits times the sum, where a negative one may round either way: relu_offset.
#define TFODL_RELU(sum, multiplier, shift, offset, at)       \
  "smmla r0, " sum ", " multiplier ", " offset "\n"          \
  "asr r0, r0, " shift "\n"                                  \
  "ssat r0, #8, r0\n"                                        \
  "strb r0, " at "\n"

// y = ((sum >> half_shift) + 1) >> 1 within +-32767: less 1 before the saturation, plus 1 after it.
#define TFODL_NARROW(sum, at)         \
  "asr r0, " sum ", r5\n"             \
  "sub r0, #1\n"                      \
  "ssat r0, #16, r0, asr #1\n"        \
  "qadd16 r0, r0, r6\n"               \
  "strh r0, " at "\n"                 \
  "eor r0, " sum ", " sum ", asr #31\n" \
  "sub r0, r0, " sum ", asr #31\n"    \
  "orr r3, r0\n"

// The short requantisation, and whether a gradient passes into the carry and then into `bits`. r2 multiplier, r3
// shift, r4 offset, r5 low, r6 range. Spoils the sum.
#define TFODL_MASKED(sum, bits, at)          \
  "lsl r0, " sum ", #1\n"                    \
  "smmlar r0, r0, r2, r4\n"                  \
  "add r0, r0, " sum ", asr #31\n"           \
  "sub " sum ", r0, r5\n"                    \
  "cmp r6, " sum "\n"                        \
  "adc " bits ", " bits "\n"                 \
  "asr r0, r3\n"                             \
  "ssat r0, #8, r0\n"                        \
  "strb r0, " at "\n"

// Frame: 0 multiplier0 .. 20 offset1, 24 y, 28 distance, 32 weights, 36 bias0, 40 bias1, 44 bias0, 48 bias1,
// 52 entry, 56 weights_end, 60 back, 64 pixels_end.
#define TFODL_REQUANTIZE_BLOCK(name, requantize)                   \
  __attribute__((naked)) void name(const tfodl::dsp::RequantBlock*) { \
    __asm volatile(                                                \
        "push {r4-r11, lr}\n"                                      \
        "sub sp, #68\n"                                            \
        "mov r12, sp\n"                                            \
        "ldmia r0!, {r4-r11}\n"                                    \
        "stmia r12!, {r4-r11}\n"                                   \
        "ldmia r0, {r4-r10}\n" /* weights, biases, weights_end, pixels, pixels_end, back */ \
        "stmia r12!, {r4-r6}\n"                                    \
        "stmia r12!, {r5-r6}\n"                                    \
        "str r7, [r12, #4]\n"                                      \
        "strd r10, r9, [r12, #8]\n"                                \
        "mov r1, r8\n"                                             \
        TFODL_ENTRY                                                \
        "str r10, [r12]\n"                                         \
        TFODL_PRODUCTS("32", "56")                                 \
        "ldmia sp, {r2-r8, lr}\n"                                  \
        requantize("r9", "r2", "r3", "r4", "[r8]")                 \
        requantize("r10", "r5", "r6", "r7", "[r8, #1]")            \
        "add r8, lr\n"                                             \
        requantize("r11", "r2", "r3", "r4", "[r8]")                \
        requantize("r12", "r5", "r6", "r7", "[r8, #1]")            \
        "ldrd r2, r3, [sp, #60]\n"                                 \
        "add r8, r2\n"                                             \
        "str r8, [sp, #24]\n"                                      \
        "cmp r1, r3\n"                                             \
        "bne 1b\n"                                                 \
        "add sp, #68\n"                                            \
        "pop {r4-r11, pc}\n");                                     \
  }

extern "C" {

TFODL_REQUANTIZE_BLOCK(tfodl_block_requantize, TFODL_REQUANTIZE)
TFODL_REQUANTIZE_BLOCK(tfodl_block_relu, TFODL_RELU)

// Frame: MaskedBlock without its last member. 0 multiplier1 .. 20 y, 24 multiplier0 .. 44 mask .. 60 distance,
// 64 weights, 68 biases, 84 entry, 88 weights_end, 92 pixels_end.
__attribute__((naked)) void tfodl_block_masked(const tfodl::dsp::MaskedBlock*) {
  __asm volatile(
      "push {r4-r11, lr}\n"
      "sub sp, #96\n"
      "mov r12, sp\n"
      "ldmia r0!, {r1-r8}\n"
      "stmia r12!, {r1-r8}\n"
      "ldmia r0!, {r1-r8}\n"
      "stmia r12!, {r1-r8}\n"
      "ldmia r0, {r4-r11, lr}\n"
      "stmia r12!, {r4-r11}\n"
      "mov r1, lr\n"
      "mov r7, r10\n"
      TFODL_ENTRY
      "str r10, [sp, #84]\n"
      TFODL_PRODUCTS("64", "88")
      "ldrd r2, r3, [sp, #44]\n"
      "ldrb r8, [r2]\n"
      "ldrb lr, [r2, r3]\n"
      "ldmia sp, {r2-r7}\n"
      TFODL_MASKED("r10", "r8", "[r7, #1]")
      "ldr r10, [sp, #60]\n"
      "add r10, r7\n"
      TFODL_MASKED("r12", "lr", "[r10, #1]")
      "add r0, sp, #24\n"
      "ldmia r0, {r2-r6}\n"
      TFODL_MASKED("r9", "r8", "[r7]")
      TFODL_MASKED("r11", "lr", "[r10]")
      "add r0, sp, #44\n"
      "ldmia r0, {r2-r5}\n"
      "strb r8, [r2]\n"
      "strb lr, [r2, r3]\n"
      "add r2, r4\n"
      "add r7, r5\n"
      "str r2, [sp, #44]\n"
      "str r7, [sp, #20]\n"
      "ldr r3, [sp, #92]\n"
      "cmp r1, r3\n"
      "bne 1b\n"
      "add sp, #96\n"
      "pop {r4-r11, pc}\n");
}

__attribute__((naked)) void tfodl_store_masked(const tfodl::dsp::MaskedSums*) {
  __asm volatile(
      "push {r4-r11, lr}\n"
      "ldmia r0, {r0-r10}\n"
      "b 2f\n"
      "1: ldr r11, [r0]\n"
      "add r0, r5\n"
      "lsl r12, r11, #1\n"
      "smmlar r12, r12, r6, r8\n"
      "add r12, r12, r11, asr #31\n"
      "ldrb lr, [r3]\n"
      "sub r11, r12, r9\n"
      "cmp r10, r11\n"
      "adc lr, lr\n"
      "strb lr, [r3]\n"
      "add r3, r3, r4, lsr #3\n"
      "asr r12, r7\n"
      "ssat r12, #8, r12\n"
      "strb r12, [r2]\n"
      "add r2, r4\n"
      "2: cmp r0, r1\n"
      "bne 1b\n"
      "pop {r4-r11, pc}\n");
}

// Frame: 0 sums, 4 pixels_end, 8 weights, 12 bias0, 16 bias1, 20 bias0, 24 bias1, 28 entry, 32 weights_end.
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
      TFODL_ENTRY
      "str r10, [sp, #28]\n"
      TFODL_PRODUCTS("8", "32")
      "ldrd r2, r3, [sp]\n"
      "stmia r2!, {r9-r12}\n"
      "str r2, [sp]\n"
      "cmp r1, r3\n"
      "bne 1b\n"
      "add sp, #36\n"
      "pop {r4-r11, pc}\n");
}

// Frame: 0 y, 4 bits, 8 distance, 12 half_shift, 16 one, 20 back, 24 pixels_end, 28 weights, 32 four zeros,
// 48 entry, 52 weights_end.
__attribute__((naked)) uint32_t tfodl_block_narrow(const tfodl::dsp::NarrowBlock*) {
  __asm volatile(
      "push {r4-r11, lr}\n"
      "sub sp, #56\n"
      "mov r12, sp\n"
      "ldmia r0!, {r2-r8}\n"
      "stmia r12!, {r2-r8}\n"
      "ldmia r0, {r4, r7, r8}\n"  // weights, weights_end, pixels
      "str r4, [r12], #4\n"
      "mov r2, #0\n"
      "mov r3, #0\n"
      "strd r2, r3, [r12], #8\n"
      "strd r2, r3, [r12], #8\n"
      "str r7, [r12, #4]\n"
      "mov r1, r8\n"
      TFODL_ENTRY
      "str r10, [r12]\n"
      TFODL_PRODUCTS("28", "52")
      "ldmia sp, {r2-r8}\n"
      TFODL_NARROW("r9", "[r2]")
      TFODL_NARROW("r10", "[r2, #2]")
      "add r2, r4\n"
      TFODL_NARROW("r11", "[r2]")
      TFODL_NARROW("r12", "[r2, #2]")
      "add r2, r7\n"
      "strd r2, r3, [sp]\n"
      "cmp r1, r8\n"
      "bne 1b\n"
      "mov r0, r3\n"
      "add sp, #56\n"
      "pop {r4-r11, pc}\n");
}

}  // extern "C"
#endif
