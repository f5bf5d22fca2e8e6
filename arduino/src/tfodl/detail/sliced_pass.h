// The gradients of the wide maps of a bottleneck, a slice at a time. Internal; slices.h.
#ifndef TFODL_DETAIL_SLICED_PASS_H
#define TFODL_DETAIL_SLICED_PASS_H
#include "tfodl/detail/slices.h"

namespace tfodl {

class SlicedPass {
 public:
  SlicedPass(const Bottleneck& b, int16_t* g_y, const SlicedMemory& memory);

  // Once, before all passes.
  void prepare();
  // The slice that begins with channel c, which is less than the wide maps have.
  void begin(int32_t c);
  // The depthwise layer's gradients of the slice, then the first layer's, which may take their place: moved right by
  // `shift`; the OR of all |sums|.
  uint32_t project(int32_t shift);
  uint32_t filter(int32_t shift);
  // Their products with the first layer's weights, of pixels begin .. end: sums [end - begin][in_c].
  void add(int32_t begin, int32_t end, int32_t* sums);

  int32_t first, n;                    // channels of the slice
  Conv expand, depthwise;              // their part of the layers
  int16_t *outer, *inner;              // gradients of the depthwise layer's output and input
  uint8_t *outer_mask, *inner_mask;    // null where there is none
  float* rates;                        // [n]
  void* kernels;                       // scratch

  // Sums of the gradients under the masks, of the depthwise layer's output and input.
  void sum_outer(int32_t* sums) const;
  void sum_inner(int32_t* sums) const;

 private:
  void factors(const SlicedLayer& layer, const Conv& part, int16_t* m);
  uint32_t filter_channels(const ConvGrad& q, int32_t shift);

  const Bottleneck& b_;
  int16_t* g_y_;
  int16_t *project_factors_, *depthwise_factors_, *expand_factors_;
  uint8_t *outer_bits_, *inner_bits_;
  int8_t* weights_;
};

}  // namespace tfodl

#endif  // TFODL_DETAIL_SLICED_PASS_H
