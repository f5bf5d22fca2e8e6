// Fast paths for cores with the DSP extension (Cortex-M4, M7, M33): same arguments and the same bits as the
// kernels of forward.h, gradient.h and update.h, which call them where TFODL_DSP is 1. Those that return bool return
// false, having touched nothing, where they do not take the shape; the portable code goes on from there. On other
// machines, or with TFODL_PORTABLE defined, none is called.
#ifndef TFODL_DSP_DSP_H
#define TFODL_DSP_DSP_H
#include "tfodl/types.h"

#if defined(__ARM_FEATURE_DSP) && __ARM_FEATURE_DSP && !defined(TFODL_PORTABLE)
#define TFODL_DSP 1
#else
#define TFODL_DSP 0
#endif

namespace tfodl {
namespace dsp {

// ADD of a multiple of 4 elements where `a` has the factor 1/2, without clip masks. With e, out_e > 0:
//   2 sum = a 2^20 + base + 2 divide(high_multiply(b 2^21 + start, multiplier), e)
//   y = saturated divide(high_multiply(2 sum, out), out_e) + zero point
// Read by the assembly: keep order and size.
struct HalfAdd {
  int32_t start, multiplier, half, e;  // half: 2^(e - 1)
  int32_t base, out, offset, out_e;    // offset: 2^(out_e - 1) and the zero point 2^out_e
  const int8_t* end;
};

#if TFODL_DSP
// CONV_2D; pointwise ones without gathering, dense ones as below. Rows y0 <= y < y1.
void conv_rows_s8(const Conv& p, ConstRows x, Rows y, int16_t y0, int16_t y1, uint8_t* mask, void* scratch);
// DEPTHWISE_CONV_2D, kernels 3x3, 5x5, 7x7, strides 1 and 2 across, at least 4 channels.
bool depthwise_rows_s8(const Conv& p, ConstRows x, Rows y, int16_t y0, int16_t y1, uint8_t* mask, void* scratch);
// FULLY_CONNECTED.
void fully_connected_s8(const Conv& p, const int8_t* x, int8_t* y, uint8_t* mask, void* scratch);

// One pass of the input gradient with this shift; the OR of all |sums| is returned, or put into *bits.
uint32_t pointwise_input_grad_s16(const Conv& p, const ConvGrad& q, const int16_t* g_y, const uint8_t* mask,
                                  int32_t shift, int16_t* g_x, void* scratch);
// sums [out_h * out_w][in_c] += the products of the same, of at most kSlicePixels pixels; in_c a multiple of 4. Scratch: as
// of the kernel.
void pointwise_add_sums(const Conv& p, const ConvGrad& q, const int16_t* g_y, const uint8_t* mask, int32_t* sums,
                        void* scratch);
// Gradients g [pixels][out_c] prepared in their place, by pairs of pixels, an even number; out_c a multiple of 8. Scratch:
// 4 out_c bytes. Then g_x [pixels][in_c] of them, in_c a multiple of 4. Scratch: 8 out_c bytes.
void prepare_pairs(const Conv& p, const ConvGrad& q, int16_t* g, const uint8_t* mask, void* scratch);
uint32_t prepared_input_grad_s16(const Conv& p, int16_t* prepared, int32_t shift, int16_t* g_x, void* scratch);
// DEPTHWISE_CONV_2D: the kernels of depthwise_rows_s8, strides 1 and 2 down.
bool depthwise_input_grad_s16(const Conv& p, const ConvGrad& q, const int16_t* g_y, const uint8_t* mask,
                              int32_t shift, int16_t* g_x, void* scratch, uint32_t* bits);

// ADD as HalfAdd says, from `a` to its end.
extern "C" void tfodl_add_fours(const int8_t* a, const int8_t* b, int8_t* y, const HalfAdd* add);

// step_stochastic of update_step.h for the sums g (x[i] - zero) and the numbers from `number` on.
void step_outer_s8(int8_t* w, const int8_t* end, const int8_t* x, int32_t g, int32_t zero, uint32_t number,
                   int32_t high, int32_t down);

// sums[i] = the sum of channel i, i < 8, of the gradients g, g + step, ... before `end`, where its bit of the masks
// passes; `step` in bytes, 16 times that of the mask.
extern "C" void tfodl_sum_eight(const int16_t* g, const uint8_t* mask, int32_t step, const int16_t* end, int32_t* sums);
// Channels co and co + 1 of g at n positions from `first` on, as a pair of rows of `groups` groups: inner.h. co even,
// out_c a multiple of 8.
void gather_pair(const int16_t* g, const uint8_t* mask, int32_t out_c, int32_t co, int32_t first, int32_t n,
                 int32_t groups, int16_t* out);
#else
inline void conv_rows_s8(const Conv&, ConstRows, Rows, int16_t, int16_t, uint8_t*, void*) {}
inline bool depthwise_rows_s8(const Conv&, ConstRows, Rows, int16_t, int16_t, uint8_t*, void*) { return false; }
inline void fully_connected_s8(const Conv&, const int8_t*, int8_t*, uint8_t*, void*) {}
inline uint32_t pointwise_input_grad_s16(const Conv&, const ConvGrad&, const int16_t*, const uint8_t*, int32_t,
                                         int16_t*, void*) {
  return 0;
}
inline void prepare_pairs(const Conv&, const ConvGrad&, int16_t*, const uint8_t*, void*) {}
inline uint32_t prepared_input_grad_s16(const Conv&, int16_t*, int32_t, int16_t*, void*) { return 0; }
inline void pointwise_add_sums(const Conv&, const ConvGrad&, const int16_t*, const uint8_t*, int32_t*, void*) {}
inline bool depthwise_input_grad_s16(const Conv&, const ConvGrad&, const int16_t*, const uint8_t*, int32_t, int16_t*,
                                     void*, uint32_t*) {
  return false;
}
inline void tfodl_add_fours(const int8_t*, const int8_t*, int8_t*, const HalfAdd*) {}
inline void tfodl_sum_eight(const int16_t*, const uint8_t*, int32_t, const int16_t*, int32_t*) {}
inline void gather_pair(const int16_t*, const uint8_t*, int32_t, int32_t, int32_t, int32_t, int32_t, int16_t*) {}
inline void step_outer_s8(int8_t*, const int8_t*, const int8_t*, int32_t, int32_t, uint32_t, int32_t, int32_t) {}
#endif

}  // namespace dsp
}  // namespace tfodl

#endif  // TFODL_DSP_DSP_H
