// The input pixels that one tap of a convolution reads for one output position after the other. Internal.
#ifndef TFODL_DETAIL_TAP_CURSOR_H
#define TFODL_DETAIL_TAP_CURSOR_H
#include "tfodl/types.h"

namespace tfodl {

class TapCursor {
 public:
  // x [in_h][in_w][channels]; starts at output position `first`.
  TapCursor(const Conv& p, const int8_t* x, int32_t channels, int32_t tap, int32_t first)
      : p_(p), x_(x), channels_(channels), left_(tap % p.k_w - p.pad_left),
        iy_(first / p.out_w * p.stride_h + tap / p.k_w - p.pad_top), step_(p.stride_w * channels) {
    start_row(first % p.out_w);
  }

  // The pixel, or null where the tap falls on padding; then on to the next position.
  const int8_t* next() {
    const bool inside = inside_ && static_cast<uint32_t>(ix_) < static_cast<uint32_t>(p_.in_w);
    const int8_t* at = inside ? pixel_ : nullptr;
    pixel_ += step_;
    ix_ += p_.stride_w;
    if (--left_in_row_ == 0) {
      iy_ += p_.stride_h;
      start_row(0);
    }
    return at;
  }

 private:
  void start_row(int32_t ox) {
    ix_ = ox * p_.stride_w + left_;
    inside_ = iy_ >= 0 && iy_ < p_.in_h;
    pixel_ = x_ + (iy_ * p_.in_w + ix_) * channels_;
    left_in_row_ = p_.out_w - ox;
  }

  const Conv& p_;
  const int8_t* x_;
  int32_t channels_, left_, iy_, step_;
  const int8_t* pixel_ = nullptr;
  int32_t ix_ = 0, left_in_row_ = 0;
  bool inside_ = false;
};

}  // namespace tfodl

#endif  // TFODL_DETAIL_TAP_CURSOR_H
