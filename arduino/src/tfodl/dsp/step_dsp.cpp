// Stochastic steps of a dense layer's weights for the DSP extension.
#include "tfodl/dsp/hot_dsp.h"
#include "tfodl/dsp/dsp.h"
#include "tfodl/detail/update_step.h"

#if TFODL_DSP
namespace tfodl {
namespace dsp {
namespace {

// The hash of docs/arithmetic.md; its last exclusive-or does not reach the upper half.
constexpr uint32_t kFirst = 0x7feb352d, kSecond = 0x846ca68b;

struct Steps {
  int32_t g, bias;  // the gradient of weight i is g x[i] + bias
  uint32_t number;  // of the first weight
  int32_t high, down;
  uint32_t first, second;
};

}  // namespace

// R - (-U) of weight `i`, in the upper half of `to`: its input is a byte of r3 that `input` takes.
#define TFODL_STEP(to, input, number)   \
  input                                 \
  "mla " to ", " to ", r4, r5\n"        \
  "eor lr, " number ", " number ", lsr #16\n" \
  "mul lr, lr, r9\n"                    \
  "eor lr, lr, lr, lsr #15\n"           \
  "mul lr, lr, r10\n"                   \
  "smmul " to ", " to ", r7\n"          \
  "asr " to ", " to ", r8\n"            \
  "ssat " to ", #20, " to "\n"          \
  "rsb " to ", " to ", lr, lsr #16\n"

// Four weights at a time, w to end: their steps are put together in one word, which saturates as a whole; what is -128
// then becomes -127.
extern "C" __attribute__((naked)) void tfodl_step_fours(int8_t* /* w */, const int8_t* /* end */,
                                                        const int8_t* /* x */, const void* /* Steps */) {
  __asm volatile(
      "push {r4-r11, lr}\n"
      "ldm r3, {r4-r10}\n"
      "1: ldr r3, [r2], #4\n"
      TFODL_STEP("r11", "sxtb r11, r3\n", "r6")
      "add lr, r6, #2\n"
      TFODL_STEP("r12", "sxtb r12, r3, ror #16\n", "lr")
      "pkhtb r11, r12, r11, asr #16\n"
      "uxtb16 r11, r11\n"
      "add lr, r6, #1\n"
      TFODL_STEP("r12", "sxtb r12, r3, ror #8\n", "lr")
      "lsr r12, r12, #16\n"
      "bfi r11, r12, #8, #8\n"
      "add lr, r6, #3\n"
      TFODL_STEP("r12", "asr r12, r3, #24\n", "lr")
      "lsr r12, r12, #16\n"
      "bfi r11, r12, #24, #8\n"
      "add r6, #4\n"
      "ldr r3, [r0]\n"
      "mov lr, #0x01010101\n"
      "qadd8 r11, r3, r11\n"
      "qsub8 r11, r11, lr\n"
      "qadd8 r11, r11, lr\n"
      "str r11, [r0], #4\n"
      "cmp r0, r1\n"
      "bne 1b\n"
      "pop {r4-r11, pc}\n");
}
#undef TFODL_STEP

void step_outer_s8(int8_t* w, const int8_t* end, const int8_t* x, int32_t g, int32_t zero, uint32_t number,
                   int32_t high, int32_t down) {
  const Steps steps = {g, -g * zero, number, high, down, kFirst, kSecond};
  const int32_t whole = (end - w) & ~3;
  if (whole > 0) tfodl_step_fours(w, w + whole, x, &steps);
  for (int32_t i = whole; w + i < end; ++i) {
    const int32_t s = g * (x[i] - zero);
    const int32_t minus_u = saturate_units(static_cast<int32_t>((static_cast<int64_t>(s) * high) >> 32) >> down);
    w[i] = clamp_weight(w[i] + ((random_bits(number + static_cast<uint32_t>(i)) - minus_u) >> 16));
  }
}

}  // namespace dsp
}  // namespace tfodl
#endif
