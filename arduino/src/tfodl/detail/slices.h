// Parts of layers and maps for slices.h. Internal.
#ifndef TFODL_DETAIL_SLICES_H
#define TFODL_DETAIL_SLICES_H
#include <string.h>

#include "tfodl/slices.h"

namespace tfodl {

// Hands out parts of a scratch, each a multiple of 8 bytes.
class Parts {
 public:
  explicit Parts(void* scratch) : next_(static_cast<uint8_t*>(scratch)) {}
  template <class T>
  T* take(int32_t nbytes) {
    uint8_t* part = next_;
    next_ += whole_eights(nbytes);
    return reinterpret_cast<T*>(part);
  }

 private:
  uint8_t* next_;
};

// Output channels c .. c + n of a layer whose weights lie by output channel.
inline Conv outputs_of(const Conv& conv, int32_t c, int32_t n) {
  Conv p = slice_of_outputs(conv, n);
  const int32_t taps = p.k_h * p.k_w;
  p.weights += c * taps * p.in_c;
  p.bias += c;
  p.multiplier += c;
  p.shift += c;
  if (p.slot) p.slot += c;
  if (p.columns) p.trained += c * taps * p.n_columns;
  return p;
}

// Bytes first .. first + n of every row of `from`, one behind the other.
__attribute__((noinline)) inline void gather_bytes(const void* from, int32_t rows, int32_t row_bytes, int32_t first, int32_t n, void* to) {
  const uint8_t* source = static_cast<const uint8_t*>(from) + first;
  uint8_t* target = static_cast<uint8_t*>(to);
  for (int32_t i = 0; i < rows; ++i, source += row_bytes) {
    for (int32_t j = 0; j < n; ++j) *target++ = source[j];
  }
}
__attribute__((noinline)) inline void scatter_bytes(const void* from, int32_t rows, int32_t row_bytes, int32_t first, int32_t n, void* to) {
  const uint8_t* source = static_cast<const uint8_t*>(from);
  uint8_t* target = static_cast<uint8_t*>(to) + first;
  for (int32_t i = 0; i < rows; ++i, target += row_bytes) {
    for (int32_t j = 0; j < n; ++j) target[j] = *source++;
  }
}

// Channels c .. c + n of a depthwise layer, their weights put into `weights`.
inline Conv channels_of(const Conv& conv, int32_t c, int32_t n, int8_t* weights) {
  Conv p = slice_of_both(conv, n);
  gather_bytes(conv.weights, p.k_h * p.k_w, conv.in_c, c, n, weights);
  p.weights = weights;
  p.bias += c;
  p.multiplier += c;
  p.shift += c;
  return p;
}

}  // namespace tfodl

#endif  // TFODL_DETAIL_SLICES_H
