// The input pixels under one output pixel of a pool. Internal.
#ifndef TFODL_DETAIL_WINDOW_H
#define TFODL_DETAIL_WINDOW_H
#include "tfodl/types.h"

namespace tfodl {

// y0 <= y < y1, x0 <= x < x1.
struct Window {
  int32_t y0, y1, x0, x1;
  int32_t count() const { return (y1 - y0) * (x1 - x0); }
};

inline Window window_of(const Pool& p, int32_t oy, int32_t ox) {
  const int32_t top = oy * p.stride_h - p.pad_top, left = ox * p.stride_w - p.pad_left;
  return {top < 0 ? 0 : top, top + p.k_h < p.in_h ? top + p.k_h : p.in_h,
          left < 0 ? 0 : left, left + p.k_w < p.in_w ? left + p.k_w : p.in_w};
}

// The outputs first <= o <= last whose windows hold input `i` along one axis; empty when last < first.
struct Range {
  int32_t first, last;
};

inline Range outputs_over(int32_t i, int32_t pad, int32_t k, int32_t stride, int32_t n) {
  const int32_t end = i + pad, start = end - k + 1;
  const int32_t first = start > 0 ? (start + stride - 1) / stride : 0;
  return {first, end / stride < n ? end / stride : n - 1};
}

}  // namespace tfodl

#endif  // TFODL_DETAIL_WINDOW_H
