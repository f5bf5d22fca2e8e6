// How much of a map the DSP path works on at once; the scratch sizes follow. Internal.
#ifndef TFODL_DETAIL_TILE_H
#define TFODL_DETAIL_TILE_H
#include "tfodl/types.h"

namespace tfodl {

// Pixels that are widened together, each `depth` products deep: even, fewer where the depth is large.
constexpr int32_t tile_pixels(int32_t depth, int32_t pixels) {
  const int32_t fitting = (512 / ((depth + 3) >> 2)) & ~1, tile = fitting < 16 ? 16 : fitting > 256 ? 256 : fitting;
  const int32_t even = (pixels + 1) & ~1;
  return tile < even ? tile : even;
}
// A convolution of one pixel by one pixel: what FULLY_CONNECTED is.
constexpr bool is_dense(const Conv& p) {
  return p.in_h == 1 && p.in_w == 1 && p.out_h == 1 && p.out_w == 1 && p.k_h == 1 && p.k_w == 1 &&
         p.pad_top == 0 && p.pad_left == 0;
}
constexpr int32_t conv_tile(const Conv& p) { return tile_pixels(p.k_h * p.k_w * p.in_c, p.out_h * p.out_w); }
// Of a pointwise layer's gradient, `depth` output channels deep: a tile of a deep one is large.
constexpr int32_t kDeepGroups = 128;  // of 4 channels
constexpr int32_t pointwise_grad_tile(const Conv& p) {
  const int32_t tile = tile_pixels(p.out_c, p.out_h * p.out_w);
  return tile > 8 && (p.out_c + 3) >> 2 >= kDeepGroups ? 8 : tile;
}

// `pixels` pixels of a 1x1 layer, as a row.
constexpr Conv some_pixels(Conv p, int32_t pixels) {
  p.in_h = p.out_h = 1;
  p.in_w = p.out_w = static_cast<int16_t>(pixels);
  return p;
}

// A band of rows of a depthwise layer, as padded planes of int16.
struct DepthwiseBand {
  int32_t quads;      // of outputs in a row
  int32_t row_words;  // of a plane
  int32_t out_rows, in_rows;
  int32_t sum_rows;   // of outputs whose sums are kept at once
};

// Outputs out_h x out_w; as many rows as four planes take in 4 KB.
constexpr DepthwiseBand band_of(int32_t out_h, int32_t out_w, int32_t k_h, int32_t k_w, int32_t stride_h,
                                int32_t stride_w) {
  const int32_t quads = (out_w + 3) >> 2, words = ((4 * quads - 1) * stride_w + k_w + 1) >> 1;
  const int32_t fitting = (256 / words - k_h) / stride_h + 1;
  const int32_t rows = fitting < 1 ? 1 : fitting < out_h ? fitting : out_h;
  const int32_t sums = quads > 16 ? 1 : 16 / quads;
  return {quads, words, rows, (rows - 1) * stride_h + k_h, sums < rows ? sums : rows};
}
constexpr DepthwiseBand depthwise_band(const Conv& p) {
  return band_of(p.out_h, p.out_w, p.k_h, p.k_w, p.stride_h, p.stride_w);
}
// The other way: every input pixel from the outputs, which are spread out by the stride.
constexpr DepthwiseBand depthwise_grad_band(const Conv& p) { return band_of(p.in_h, p.in_w, p.k_h, p.k_w, 1, 1); }

}  // namespace tfodl

#endif  // TFODL_DETAIL_TILE_H
