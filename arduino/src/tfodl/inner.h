// The inner loops that the portable kernels share: what runs where dsp.h has no faster path. Internal.
#pragma once
#include "types.h"

namespace tfodl {

// conv_inner.cpp --------------------------------------------------------------------------------------

// out[i] = x[i] - zero.
void widen_s8(const int8_t* x, int32_t n, int32_t zero, int16_t* out);

// All output channels of one or two pixels. Pixel i's column, [k_h * k_w * in_c] and then
// [k_h * k_w * n_columns], is at columns + i * stride; its outputs go to y + i * out_c and mask bits from
// first_bit + i * out_c.
void conv_pixels_s8(const Conv& p, const int16_t* columns, int32_t stride, int32_t pixels, int8_t* y,
                    uint8_t* mask, int32_t first_bit);

// grad_inner.cpp --------------------------------------------------------------------------------------

// out[i] = rshift(g[i] * pass * scale[i], 15 + headroom), n values; `first_bit` is g's first in the mask.
void prepare_grad_s16(const int16_t* g, int32_t n, const ConvGrad& q, const uint8_t* mask, int32_t first_bit,
                      int16_t* out);

// sums[i * in_c + ci] += sum over co of grad[i * out_c + co] * W[co][tap][ci] for one or two pixels.
void add_weighted_rows_s8(const Conv& p, int32_t tap, const int16_t* grad, int32_t pixels, int32_t* sums);

// out[i] = saturated rshift(sums[i], shift); returns the OR of all |sums[i]|.
uint32_t narrow_s32(const int32_t* sums, int32_t n, int32_t shift, int16_t* out);

// update_inner.cpp ------------------------------------------------------------------------------------

// sums0[c] += sum over i < n of g0[i] * x[i * stride + c], 0 <= c < channels; the same with g1 into sums1
// when g1 is not null. No sum leaves int32: n <= 256.
void add_outer_s8(const int16_t* g0, const int16_t* g1, int32_t n, const int8_t* x, int32_t stride,
                  int32_t channels, int32_t* sums0, int32_t* sums1);

}  // namespace tfodl
