// 2 rows of weights times pairs of pixels, in the layout of block_dsp.h: what weight gradients are summed with.
#ifndef TFODL_DSP_PAIR_DSP_H
#define TFODL_DSP_PAIR_DSP_H
#include "tfodl/dsp/dsp.h"

#if TFODL_DSP
namespace tfodl {
namespace dsp {

// Read by the assembly: keep order and size.
struct SumBlock {
  int32_t* sums;  // out: {row 0, row 1} of the first pixel, then of the second, for each pair
  const uint32_t* weights;
  int32_t bias0, bias1;
  const uint32_t* weights_end;
  const uint32_t* pixels;
  const uint32_t* pixels_end;
};

extern "C" {
// For every pair of pixels: the 4 int32 sums.
void tfodl_block_sums(const SumBlock* block);
}

}  // namespace dsp
}  // namespace tfodl
#endif

#endif  // TFODL_DSP_PAIR_DSP_H
