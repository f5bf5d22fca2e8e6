// The inner loops of weight gradients for the DSP extension: 4 channels of 4 positions are transposed at a time,
// block_dsp.cpp multiplies.
#include "hot_dsp.h"
#include "block_dsp.h"

#if TFODL_DSP
#include "inner.h"
#include "tap_cursor.h"

namespace tfodl {

void widen_columns_s8(const Conv& p, const int8_t* x, int32_t channels, int32_t tap, int32_t c, int32_t first,
                      int32_t n, int32_t groups, int16_t* out) {
  TapCursor cursor(p, x, channels, tap, first);
  const int8_t zero = static_cast<int8_t>(p.in_zero);
  const uint32_t offset = dsp::both_halves(-p.in_zero), nothing = dsp::load_bytes(nullptr, 0, zero);
  uint32_t* to = reinterpret_cast<uint32_t*>(out);
  uint32_t* second = to + 4 * groups;
  const int32_t present = channels - c;
  for (int32_t i = 0; i < n; i += 4, to += 4, second += 4) {
    uint32_t words[4];
    for (int32_t j = 0; j < 4; ++j) {
      const int8_t* pixel = i + j < n ? cursor.next() : nullptr;
      words[j] = !pixel ? nothing : present >= 4 ? dsp::load_word(pixel + c) : dsp::load_bytes(pixel + c, present, zero);
    }
    const uint32_t even0 = dsp::widen_even(words[0], offset), even1 = dsp::widen_even(words[1], offset);
    const uint32_t even2 = dsp::widen_even(words[2], offset), even3 = dsp::widen_even(words[3], offset);
    to[0] = dsp::low_halves(even0, even2);
    to[1] = dsp::low_halves(even1, even3);
    second[0] = dsp::high_halves(even0, even2);
    second[1] = dsp::high_halves(even1, even3);
    const uint32_t odd0 = dsp::widen_odd(words[0], offset), odd1 = dsp::widen_odd(words[1], offset);
    const uint32_t odd2 = dsp::widen_odd(words[2], offset), odd3 = dsp::widen_odd(words[3], offset);
    to[2] = dsp::low_halves(odd0, odd2);
    to[3] = dsp::low_halves(odd1, odd3);
    second[2] = dsp::high_halves(odd0, odd2);
    second[3] = dsp::high_halves(odd1, odd3);
  }
}

void outer_sums_s16(const int16_t* grads, const int16_t* columns, int32_t groups, int32_t pairs, int32_t* sums) {
  const uint32_t* weights = reinterpret_cast<const uint32_t*>(grads);
  const uint32_t* pixels = reinterpret_cast<const uint32_t*>(columns);
  const dsp::SumBlock block = {sums, weights, 0, 0, weights + 4 * groups, pixels, pixels + 4 * groups * pairs};
  dsp::tfodl_block_sums(&block);
}

}  // namespace tfodl
#endif
