// From sums to int8 outputs and clip masks. Internal.
#ifndef TFODL_DSP_REQUANTIZE_DSP_H
#define TFODL_DSP_REQUANTIZE_DSP_H
#include "tfodl/dsp/block_dsp.h"

#if TFODL_DSP
#include "tfodl/detail/fixed_point.h"
#include "tfodl/dsp/widen_dsp.h"

namespace tfodl {
namespace dsp {

// Read by the assembly: keep order and size.
struct MaskedSums {
  const int32_t *sums, *end;
  int8_t* y;
  uint8_t* byte;
  int32_t stride, step;       // from output to output, from sum to sum in bytes
  int32_t multiplier, right_shift, offset, low;
  uint32_t range;
};
// The short requantisation with clip masks from the sums of one channel.
extern "C" void tfodl_store_masked(const MaskedSums* block);

constexpr int32_t kLargestDepth = 16384;  // products an output: |sum| < 2^30 with a bias below 2^29

// Shifts 1..20 to the right, and sums of `products` terms whose double stays in 32 bits: the short requantisation.
constexpr int32_t kFastShift = 20;
// Biases must be below; 0: never.
inline uint32_t fast_bound(int32_t products) { return products <= kLargestDepth ? 1u << 29 : 0; }
inline bool fast_channel(const Conv& p, int32_t co, int32_t products) {
  return p.shift[co] < 0 && p.shift[co] >= -kFastShift && magnitude(p.bias[co]) < fast_bound(products);
}

// Have n channels from co on shifts of 1 to `longest` to the right, and biases within +-bound?
inline bool within(const Conv& p, int32_t co, int32_t n, int32_t longest, uint32_t bound) {
  const int32_t* bias = p.bias + co;
  const int8_t* shift = p.shift + co;
  uint32_t shifts = 0;
  int32_t biases = 0;
  for (int32_t r = 0; r < n; ++r) {
    const uint32_t right = static_cast<uint32_t>(~shift[r]);  // less 1
    shifts = right > shifts ? right : shifts;
    biases |= bias[r] ^ (bias[r] >> 31);  // at least the largest, less than twice it
  }
  return shifts < static_cast<uint32_t>(longest) && static_cast<uint32_t>(biases) < bound;
}

// What turns the truncating shift into a rounding one and adds the zero point.
inline int32_t requantize_offset(const Conv& p, int32_t right_shift) {
  return (1 << (right_shift - 1)) + p.out_zero * (1 << right_shift);
}

// Where the clamp takes all that is negative, sums below 0 may round either way, and one division is left. With k
// more bits in the weights and the bias, s the shift to the right, z the zero point:
//   y = floor((2^k sum * multiplier + 2^32 (2^(k-2) + 2^(s+k-2) + z 2^(s+k-1))) / 2^(32+s+k-1))
constexpr int32_t kReluBits = 8;  // k: int8 weights become the upper bytes

constexpr int32_t kReluShift = 16;

// Biases of sums of `products` terms must be below, so that none leaves int32; 0: never.
inline uint32_t relu_bound(const Conv& p, int32_t products) {
  const bool possible = p.act_min >= p.out_zero && products < 256;
  return possible ? (1u << 23) - static_cast<uint32_t>(products) * (128 * 255) : 0;
}
inline bool relu_channel(const Conv& p, int32_t co, int32_t products) {
  return p.shift[co] < 0 && p.shift[co] >= -kReluShift && magnitude(p.bias[co]) < relu_bound(p, products);
}

// The last shift, and what is added to the upper half of the product before it.
inline int32_t relu_shift(const Conv& p, int32_t co) { return -p.shift[co] + kReluBits - 1; }
inline int32_t relu_offset(const Conv& p, int32_t last_shift) {
  return (1 << (kReluBits - 2)) + (1 << (last_shift - 1)) + p.out_zero * (1 << last_shift);
}

// As the assembly does it, store_dsp.cpp; zero point included.
inline int32_t requantize_fast(int32_t sum, int32_t multiplier, int32_t right_shift, int32_t offset) {
  int32_t high;
  __asm("smmlar %0, %1, %2, %3" : "=r"(high) : "r"(static_cast<uint32_t>(sum) << 1), "r"(multiplier), "r"(offset));
  return (high + (sum >> 31)) >> right_shift;
}

inline int8_t saturate_s8(int32_t v) {
  int32_t y;
  __asm("ssat %0, #8, %1" : "=r"(y) : "r"(v));
  return static_cast<int8_t>(y);
}

// The short requantisation with clip masks: the bits of 8 channels are shifted into their byte from below, the last
// channel first. A gradient passes where the scaled sum, before its last shift, is in low .. low + range.
struct MaskedChannel {
  int32_t multiplier, right_shift, offset, low;
  uint32_t range;
  MaskedChannel(const Conv& p, int32_t co)
      : multiplier(p.multiplier[co]), right_shift(-p.shift[co]), offset(requantize_offset(p, right_shift)),
        low(p.act_min == p.out_zero ? offset + 1 : p.act_min * (1 << right_shift)),
        range(static_cast<uint32_t>((p.act_max + 1) * (1 << right_shift) - 1 - low)) {}
  // From 2^kReluBits times the sum, where act_min is the zero point: see relu_bound.
  static MaskedChannel of_relu(const Conv& p, int32_t co) {
    MaskedChannel c(p, co);
    c.right_shift = relu_shift(p, co);
    c.offset = relu_offset(p, c.right_shift);
    c.low = c.offset + 1;
    c.range = static_cast<uint32_t>((p.act_max + 1) * (1 << c.right_shift) - 1 - c.low);
    return c;
  }
};

// May the 8 channels whose last is `last` be handled so? (A multiplier of 2^30 or more leaves a sum above 0 at 1 or
// more.)
inline bool masks_in_bytes(const Conv& p, int32_t last, int32_t products) {
  bool fast = p.out_c % 8 == 0;
  for (int32_t co = last - 7; fast && co <= last; ++co) {
    fast = fast_channel(p, co, products) && p.multiplier[co] >= 1 << 30;
  }
  return fast;
}

// Where sums lie: `rows` rows of n, kStep apart within a row, `pitch` from row to row; the outputs are in one piece.
struct Sums {
  const int32_t* data;
  int32_t n, rows, pitch;
};

// The outputs of channel co from its sums; `y` and `bit` are of the first output's pixel.
struct ChannelOutput {
  const Conv& p;
  int32_t co;
  int8_t* y;
  uint8_t* mask;  // or null
  int32_t bit;
  bool shift_in;  // masks_in_bytes, and these channels come one after the other, the last one first

  // By the long way.
  void store_one(int32_t a) const { any<1>(&a, 1, co); }

  template <int kStep>
  void store(Sums sums) const {
    if (sums.pitch == kStep * sums.n) sums.n *= sums.rows, sums.rows = 1;
    for (int32_t r = 0; r < sums.rows; ++r) {
      const int32_t at = r * sums.n * p.out_c + co;
      const int32_t* row = sums.data + r * sums.pitch;
      shift_in ? masked<kStep>(row, sums.n, at) : any<kStep>(row, sums.n, at);
    }
  }

 private:
  // Any shift and clamp.
  template <int kStep>
  void any(const int32_t* sums, int32_t n, int32_t at) const {
    const Clip clip = {p.out_zero, p.act_min, p.act_max};
    const int32_t multiplier = p.multiplier[co], shift = p.shift[co], stride = p.out_c;
    for (int32_t i = 0; i < n; ++i, sums += kStep, at += stride) {
      y[at] = clip(*sums, requantize(*sums, multiplier, shift), mask, bit + at);
    }
  }

  // Saturates to int8 only, see clamp_outputs.
  template <int kStep>
  void masked(const int32_t* sums, int32_t n, int32_t at) const {
    const MaskedChannel c(p, co);
    const MaskedSums block = {sums, sums + kStep * n, y + at, mask + ((bit + at) >> 3), p.out_c, 4 * kStep,
                              c.multiplier, c.right_shift, c.offset, c.low, c.range};
    tfodl_store_masked(&block);
  }
};

// max(low, min(high, y)) of 4 int8, low <= high.
inline uint32_t clamp_four(uint32_t y, uint32_t low, uint32_t high) {
  uint32_t spare;
  __asm("ssub8 %1, %0, %2\n"
        "sel %0, %0, %2\n"
        "ssub8 %1, %3, %0\n"
        "sel %0, %0, %3"
        : "+r"(y), "=&r"(spare) : "r"(low), "r"(high) : "cc");
  return y;
}

// The layer's own clamp for n outputs that were saturated to int8.
inline void clamp_outputs(const Conv& p, int8_t* y, int32_t n) {
  if (p.act_min == -128 && p.act_max == 127) return;
  const uint32_t low = (uint32_t(p.act_min) & 0xFFu) * 0x01010101u;
  const uint32_t high = (uint32_t(p.act_max) & 0xFFu) * 0x01010101u;
  for (; n >= 4; n -= 4, y += 4) {
    const uint32_t four = clamp_four(load_word(y), low, high);
    memcpy(y, &four, 4);
  }
  for (; n > 0; --n, ++y) *y = static_cast<int8_t>(clamp_s32(*y, p.act_min, p.act_max));
}

}  // namespace dsp
}  // namespace tfodl
#endif

#endif  // TFODL_DSP_REQUANTIZE_DSP_H
