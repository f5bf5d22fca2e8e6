// Stochastic steps of a dense layer's weights for the DSP extension.
#include "tfodl/dsp/hot_dsp.h"
#include "tfodl/dsp/dsp.h"

#if TFODL_DSP
namespace tfodl {
namespace dsp {
namespace {

// The hash of docs/arithmetic.md; its last exclusive-or does not reach the upper half.
constexpr uint32_t kFirst = 0x7feb352d, kSecond = 0x846ca68b;

}  // namespace

void step_outer_s8(int8_t* w, const int8_t* end, const int8_t* x, int32_t g, int32_t zero, uint32_t number,
                   int32_t high, int32_t down) {
  const int32_t bias = -g * zero;
  const uint32_t to_number = number - reinterpret_cast<uintptr_t>(w);
  while (w < end) {
    int32_t s, t;
    __asm volatile(
        "ldrsb %[s], [%[x]], #1\n"
        "add %[t], %[w], %[to_number]\n"
        "mla %[s], %[s], %[g], %[bias]\n"
        "eor %[t], %[t], %[t], lsr #16\n"
        "mul %[t], %[t], %[first]\n"
        "eor %[t], %[t], %[t], lsr #15\n"
        "mul %[t], %[t], %[second]\n"
        "smmul %[s], %[s], %[high]\n"
        "asr %[s], %[s], %[down]\n"
        "ssat %[s], #20, %[s]\n"
        "rsb %[s], %[s], %[t], lsr #16\n"
        "ldrsb %[t], [%[w]]\n"
        "add %[t], %[t], %[s], asr #16\n"
        "sub %[t], #1\n"  // within +-127: one less before the saturation, one more after it
        "ssat %[t], #8, %[t]\n"
        "qadd8 %[t], %[t], %[one]\n"
        "strb %[t], [%[w]], #1\n"
        : [w] "+r"(w), [x] "+r"(x), [s] "=&r"(s), [t] "=&r"(t)
        : [g] "r"(g), [bias] "r"(bias), [to_number] "r"(to_number), [first] "r"(kFirst), [second] "r"(kSecond),
          [high] "r"(high), [down] "r"(down), [one] "r"(1)
        : "memory");
  }
}

}  // namespace dsp
}  // namespace tfodl
#endif
