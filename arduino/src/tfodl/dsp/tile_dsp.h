// Output pixels of a convolution, widened for block_dsp.h. Internal.
#ifndef TFODL_DSP_TILE_DSP_H
#define TFODL_DSP_TILE_DSP_H
#include "tfodl/dsp/block_dsp.h"

#if TFODL_DSP
namespace tfodl {
namespace dsp {

// The depth of a convolution in the order in which its windows are widened: that of the weights, but for windows of 3
// rows of 9 bytes (3x3 of 3 channels), where 8 bytes of each row come first and the ninth bytes last.
struct DepthOrder {
  int32_t row_bytes, depth, groups;  // of a window; products of an output, and groups of 4 of them
  bool nines;

  explicit DepthOrder(const Conv& p)
      : row_bytes(p.k_w * p.in_c), depth(p.k_h * row_bytes), groups(groups_of_4(depth)),
        nines(p.k_h == 3 && row_bytes == 9) {}

  // Where element k of the first of 4 rows lies, in int16; those of the others are 4 apart.
  int32_t place(int32_t k) const {
    if (nines) k = k % 9 < 8 ? k - k / 9 : 24 + k / 9;
    return (k >> 2) * 4 * kRows + (k & 1) * 2 + ((k >> 1) & 1);
  }
};

// What a tile is made from.
struct Columns {
  const Conv& p;
  DepthOrder order;
  uint32_t* pixels;  // the tile
  int8_t* window;    // one window, where it is not read in place: before the weights need the room
  bool direct;       // k = 1, stride 1: a pixel's column is the pixel

  // Widens n output pixels from flat index `first` on.
  void fill(ConstRows x, int32_t first, int32_t n) const;
};

}  // namespace dsp
}  // namespace tfodl
#endif

#endif  // TFODL_DSP_TILE_DSP_H
