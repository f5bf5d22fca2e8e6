#include "tfodl/detail/cold.h"
#include "tfodl/detail/slices.h"

namespace tfodl {

void slices_s8(const Conv& expand, const Conv& depthwise, int32_t n, const int8_t* x, uint8_t* expand_mask, int8_t* y,
               uint8_t* depthwise_mask, void* scratch) {
  const int32_t wide = depthwise.in_c, inside = depthwise.in_h * depthwise.in_w;
  const int32_t outside = depthwise.out_h * depthwise.out_w;
  Parts parts(scratch);
  void* kernels = parts.take<void>(larger_of(pointwise_s8_scratch_bytes(slice_of_outputs(expand, n)),
                                             depthwise_s8_scratch_bytes(slice_of_both(depthwise, n))));
  int8_t *between = parts.take<int8_t>(inside * n), *out = parts.take<int8_t>(outside * n);
  uint8_t *first = parts.take<uint8_t>(inside * n / 8), *second = parts.take<uint8_t>(outside * n / 8);
  int8_t* weights = parts.take<int8_t>(depthwise.k_h * depthwise.k_w * n);
  for (int32_t c = 0; c < wide; c += n) {
    const int32_t some = wide - c < n ? wide - c : n;
    pointwise_s8(outputs_of(expand, c, some), x, between, expand_mask ? first : nullptr, kernels);
    depthwise_s8(channels_of(depthwise, c, some, weights), between, out, depthwise_mask ? second : nullptr, kernels);
    scatter_bytes(out, outside, wide, c, some, y);
    if (expand_mask) scatter_bytes(first, inside, wide / 8, c / 8, some / 8, expand_mask);
    if (depthwise_mask) scatter_bytes(second, outside, wide / 8, c / 8, some / 8, depthwise_mask);
  }
}

}  // namespace tfodl
