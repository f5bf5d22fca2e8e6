// The inner loops that the portable kernels share: what runs where dsp.h has no faster path. Internal.
#ifndef TFODL_DETAIL_INNER_H
#define TFODL_DETAIL_INNER_H
#include "tfodl/types.h"

namespace tfodl {

// conv_inner.cpp --------------------------------------------------------------------------------------

// out[i] = x[i] - zero.
void widen_s8(const int8_t* x, int32_t n, int32_t zero, int16_t* out);

// All output channels of one or two pixels. Pixel i's column, [k_h * k_w * in_c] and then
// [k_h * k_w * n_columns], is at columns + i * stride; its outputs go to y + i * out_c and mask bits from
// first_bit + i * out_c.
void conv_pixels_s8(const Conv& p, const int16_t* columns, int32_t stride, int32_t pixels, int8_t* y,
                    uint8_t* mask, int32_t first_bit);

// dot_v6m.cpp: the inner loop for a core that has eight registers to compute with -------------------------

#if defined(__ARM_ARCH_6M__) && !defined(TFODL_PORTABLE)
#define TFODL_DOT_V6M 1
// acc[row][pixel] += dot products, n > 0 long. The second row and pixel are `next_row` and `next_pixel` bytes on.
void dot_v6m(const int8_t* w, uint32_t next_row, const int16_t* x, uint32_t next_pixel, int32_t n,
             int32_t (&acc)[2][2]);
#else
#define TFODL_DOT_V6M 0
#endif

// grad_inner.cpp --------------------------------------------------------------------------------------

// out[i] = rshift(g[i] * pass * scale[i], 15 + headroom), n values; `first_bit` is g's first in the mask.
void prepare_grad_s16(const int16_t* g, int32_t n, const ConvGrad& q, const uint8_t* mask, int32_t first_bit,
                      int16_t* out);

// sums[i * in_c + ci] += sum over co of grad[i * out_c + co] * W[co][tap][ci] for one or two pixels.
void add_weighted_rows_s8(const Conv& p, int32_t tap, const int16_t* grad, int32_t pixels, int32_t* sums);

// out[i] = saturated rshift(sums[i], shift); returns the OR of all |sums[i]|.
uint32_t narrow_s32(const int32_t* sums, int32_t n, int32_t shift, int16_t* out);

// update_inner.cpp, update_dsp.cpp ---------------------------------------------------------------------

// Gradients and inputs of up to 256 positions lie in pairs of rows (output channels, input channels): for each
// group of 4 positions p, {p, p + 2, p + 1, p + 3} of the first row and then of the second, int16.
constexpr int32_t kPlaceInGroup[4] = {0, 2, 1, 3};

// Channels c .. c + 3 of x [in_h][in_w][channels] less p.in_zero, as tap `tap` meets them from output position
// `first` on, n positions, in two pairs of rows of `groups` groups; 0 on padding, beyond n and beyond `channels`.
void widen_columns_s8(const Conv& p, const int8_t* x, int32_t channels, int32_t tap, int32_t c, int32_t first,
                      int32_t n, int32_t groups, int16_t* out);

// sums[4 i + 2 j + r] = row r of `grads` . row j of pair i of `columns`, 0 <= i < pairs.
void outer_sums_s16(const int16_t* grads, const int16_t* columns, int32_t groups, int32_t pairs, int32_t* sums);
constexpr int32_t kChunk = 256;  // positions whose products always fit int32

}  // namespace tfodl

#endif  // TFODL_DETAIL_INNER_H
