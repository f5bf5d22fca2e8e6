// Prepared gradients, docs/arithmetic.md. Internal.
#ifndef TFODL_DSP_PREPARE_DSP_H
#define TFODL_DSP_PREPARE_DSP_H
#include "tfodl/dsp/dsp.h"

#if TFODL_DSP
#include "tfodl/detail/fixed_point.h"

namespace tfodl {
namespace dsp {

// rshift(g * scale, 15 + headroom); the product is below 2^30.
struct Prepare {
  int32_t shift, half;
  explicit Prepare(const ConvGrad& q) : shift(15 + q.headroom), half(1 << (14 + q.headroom)) {}
  int32_t operator()(int32_t g, int32_t scale) const { return (g * scale + half) >> shift; }
};

// Masks of two gradients by two bits of the clip mask; without a mask.
struct HalvesTable {
  uint32_t halves[4];
};
constexpr HalvesTable kMasked = {{0, 0xFFFF, 0xFFFF0000, 0xFFFFFFFF}};
constexpr HalvesTable kUnmasked = {{0xFFFFFFFF, 0xFFFFFFFF, 0xFFFFFFFF, 0xFFFFFFFF}};

// Read by the assembly: keep order and size.
struct PrepareBlock {
  HalvesTable table;
  int32_t half, shift;  // of Prepare
  int32_t mask_step;    // to the next 8 channels; 0 where there is no mask, but some byte to read
  int32_t eights;
};
struct SpreadBlock {
  HalvesTable table;
  int32_t step, bit;    // bytes from pixel to pixel of a plane; of the mask's byte
  const int16_t* g;     // 4 channels of the first pixel
  const uint8_t* mask;
  int16_t* to;          // the first of 4 planes
  int32_t pixels;
  int32_t g_step;       // bytes from pixel to pixel; 16 times that of the mask
  uint32_t scale[2];    // of the 4 channels
  int32_t half, shift;
  int32_t plane;        // bytes
};

extern "C" {
// 8 * eights channels of a pixel: pairs of words, 4 words apart.
void tfodl_prepare_eights(const int16_t* g, const int16_t* scale, const uint8_t* mask, uint32_t* to,
                          const PrepareBlock* block);
// 4 channels of some pixels, to 4 planes.
void tfodl_spread_fours(const SpreadBlock* block);
}

}  // namespace dsp
}  // namespace tfodl
#endif

#endif  // TFODL_DSP_PREPARE_DSP_H
