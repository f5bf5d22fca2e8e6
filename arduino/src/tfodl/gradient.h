// Gradient kernels, int16 with a power-of-two exponent. Contract: kernels.h.
//
// g_y is the gradient of the op's output, e_y its exponent. Kernels that end in the shift rule take
// `GradScale& s`: s.shift is state kept from step to step, s.exponent is set for g_x. A mask gates g_y.
#ifndef TFODL_GRADIENT_H
#define TFODL_GRADIENT_H
#include "tfodl/detail/tile.h"

namespace tfodl {

// Softmax cross-entropy on logits q [n], n <= 65536, label < n: g [n] and s.exponent (s.shift is not
// used). table [256] uint32: round(2^24 exp(-s_y k)). *p_label: the label's probability, Q30, or null.
// False when every g is 0.
bool softmax_cross_entropy_s8(const uint32_t* table, const int8_t* q, int32_t n, int32_t label, int16_t* g,
                              GradScale& s, uint32_t* p_label);

// Mean squared error of q [n] against t [n] in the same quantisation: s_y / n = f 2^exponent,
// factor = min(32767, round(f 2^15)). *sum_squares: sum (q - t)^2, or null. False when every g is 0.
bool mean_squared_error_s8(int16_t factor, int16_t exponent, const int8_t* q, const int8_t* t, int32_t n,
                           int16_t* g, GradScale& s, uint32_t* sum_squares);

// Binary cross-entropy of n sigmoids on logits q [n] against t [n], 0 or not 0: g = (p - t) / n. table [256] uint32:
// round(2^30 f / (1 + exp(-s_y (k - 128 - z_y)))), one: round(2^30 f), with 1 / n = f 2^exponent. *loss: the mean of
// -ln p, or null. False when every g is 0.
bool binary_cross_entropy_s8(const uint32_t* table, uint32_t one, int16_t exponent, const int8_t* q, const int8_t* t,
                             int32_t n, int16_t* g, GradScale& s, float* loss);

// Mean squared difference of an autoencoder's output q [n] and its input x [n]. *squares: as of
// reconstruction_squares_s8, or null. False when every g is 0.
bool reconstruction_error_s8(const Reconstruction& p, const int8_t* q, const int8_t* x, int32_t n, int16_t* g,
                             GradScale& s, uint64_t* squares);
// Sum of the squared differences, in 1/4096 LSB^2 of the output.
uint64_t reconstruction_squares_s8(const Reconstruction& p, const int8_t* q, const int8_t* x, int32_t n);
// The same with `bits` fraction bits, less than 6, of a difference: an input's scale of more than twice the output's.
bool reconstruction_error_coarse_s8(const Reconstruction& p, int32_t bits, const int8_t* q, const int8_t* x, int32_t n,
                                    int16_t* g, GradScale& s, uint64_t* squares);
uint64_t reconstruction_squares_coarse_s8(const Reconstruction& p, int32_t bits, const int8_t* q, const int8_t* x,
                                          int32_t n);

// CONV_2D, also k = 1 with a stride. g_y [out_h][out_w][out_c] -> g_x [in_h][in_w][in_c].
// Scratch: prepared gradients of k_h output rows and the sums of one input pixel.
constexpr int32_t conv_input_grad_s16_scratch_bytes(const Conv& p) {
  return ((2 * p.k_h * p.out_w * p.out_c + 3) & ~3) + 4 * p.in_c;
}
void conv_input_grad_s16(const Conv& p, const ConvGrad& q, const int16_t* g_y, int16_t e_y,
                         const uint8_t* mask, int16_t* g_x, GradScale& s, void* scratch);

// The same for k = 1, stride 1, no padding, and for FULLY_CONNECTED.
// Scratch: prepared gradients and sums of two pixels; or the prepared gradients of a tile and four columns of
// weights, widened.
constexpr int32_t pointwise_input_grad_s16_scratch_bytes(const Conv& p) {
  const int32_t groups = (p.out_c + 3) >> 2;
  const int32_t tile = groups * (8 * pointwise_grad_tile(p) + 32);
  return tile > 4 * p.out_c + 8 * p.in_c ? tile : 4 * p.out_c + 8 * p.in_c;
}
void pointwise_input_grad_s16(const Conv& p, const ConvGrad& q, const int16_t* g_y, int16_t e_y,
                              const uint8_t* mask, int16_t* g_x, GradScale& s, void* scratch);
// Some pixels at a time: slower, with less scratch. out_c is a multiple of 8.
constexpr int32_t pointwise_pixels_input_grad_s16_scratch_bytes(const Conv& p, int32_t pixels) {
  return pointwise_input_grad_s16_scratch_bytes(some_pixels(p, pixels));
}
void pointwise_pixels_input_grad_s16(const Conv& p, int32_t pixels, const ConvGrad& q, const int16_t* g_y, int16_t e_y,
                                     const uint8_t* mask, int16_t* g_x, GradScale& s, void* scratch);
constexpr int32_t fully_connected_input_grad_s16_scratch_bytes(const Conv& p) {
  return pointwise_input_grad_s16_scratch_bytes(p);
}
void fully_connected_input_grad_s16(const Conv& p, const ConvGrad& q, const int16_t* g_y, int16_t e_y,
                                    const uint8_t* mask, int16_t* g_x, GradScale& s, void* scratch);

// DEPTHWISE_CONV_2D. Scratch: of some channels the prepared gradients of k_h output rows and the sums of one input pixel;
// or the planes of 4 channels of a band and the sums of one row.
constexpr int32_t kGradChannels = 8;
constexpr int32_t depthwise_input_grad_s16_scratch_bytes(const Conv& p) {
  const DepthwiseBand band = depthwise_grad_band(p);
  const int32_t plane = 16 * (band.in_rows * band.row_words + band.quads);
  const int32_t channels = p.in_c < kGradChannels ? p.in_c : kGradChannels;
  const int32_t rows = ((2 * p.k_h * p.out_w * channels + 3) & ~3) + 4 * channels;
  return plane > rows ? plane : rows;
}
void depthwise_input_grad_s16(const Conv& p, const ConvGrad& q, const int16_t* g_y, int16_t e_y,
                              const uint8_t* mask, int16_t* g_x, GradScale& s, void* scratch);
// The same with g_x in g_y's place, which saves a map: g_x is as large as g_y, stride 1, 4 n channels and all rows in one
// band. False: the shift did not fit, g is lost; make it again and call again, then it does.
bool depthwise_input_grad_over_s16(const Conv& p, const ConvGrad& q, int16_t* g, int16_t e_y, const uint8_t* mask,
                                   GradScale& s, void* scratch);

// A tensor with two readers: out = a 2^e_a + b 2^e_b, n elements. out may be a or b.
void add_grads_s16(const int16_t* a, int16_t e_a, const int16_t* b, int16_t e_b, int32_t n, int16_t* out,
                   GradScale& s);

// out = g where the mask's bit is set, else 0: ADD, SUB (first input), RELU, QUANTIZE. out may be g.
void mask_grad_s16(const int16_t* g, const uint8_t* mask, int32_t n, int16_t* out);
// out = -g where the mask's bit is set, else 0: the second input of SUB. out may be g.
void negate_grad_s16(const int16_t* g, const uint8_t* mask, int32_t n, int16_t* out);

// MUL: gradient of the factor whose partner is `b` (int8, zero point b_zero, real scale f 2^exponent with
// factor = min(32767, round(f 2^15))). g_x may be g_y.
void mul_input_grad_s16(int16_t factor, int16_t exponent, int16_t b_zero, const int8_t* b, const int16_t* g_y,
                        int16_t e_y, const uint8_t* mask, int32_t n, int16_t* g_x, GradScale& s);

// The same for operands that are broadcast to n elements: g_x [x_spread.size] holds a sum for every element
// of the factor. g_x may be g_y when that is n elements.
void mul_broadcast_input_grad_s16(int16_t factor, int16_t exponent, int16_t b_zero, const int8_t* b,
                                  const Spread& b_spread, const int16_t* g_y, int16_t e_y, const uint8_t* mask,
                                  int32_t n, const Spread& x_spread, int16_t* g_x, GradScale& s);

// ADD, SUB and repeat_s8 of a broadcast operand: g_x[j] = sign times the sum of the n gradients that element j has
// a part in. g_x [spread.size].
void sum_grad_s16(int32_t sign, const int16_t* g_y, int16_t e_y, const uint8_t* mask, int32_t n,
                  const Spread& spread, int16_t* g_x, GradScale& s);

// MINIMUM (sign 1) and MAXIMUM (-1) of x and b: g_x [x_spread.size] gets g_y where sign (x - b) < limit, summed over
// the n elements that element j of x has a part in. limit: 1 for the first operand, which ties go to, 0 for the second.
void extremum_input_grad_s16(int32_t sign, int32_t limit, const int8_t* x, const Spread& x_spread, const int8_t* b,
                             const Spread& b_spread, const int16_t* g_y, int16_t e_y, int32_t n, int16_t* g_x,
                             GradScale& s);

// TANH, HARD_SWISH, ELU and the like from the input x: slope [256] int16 holds dy/dx in Q13, 0 where y clips. g_x may
// be g_y.
void lookup_input_grad_s16(const int16_t* slope, const int8_t* x, const int16_t* g_y, int16_t e_y, int32_t n,
                           int16_t* g_x, GradScale& s);

// PRELU from its input x: slope holds alpha in Q13 and is spread to n elements. g_x may be g_y.
void prelu_input_grad_s16(const int16_t* slope, const Spread& slope_spread, int16_t x_zero, const int8_t* x,
                          const int16_t* g_y, int16_t e_y, const uint8_t* mask, int32_t n, int16_t* g_x, GradScale& s);

// LOGISTIC from its output y (scale 1/256, zero point -128). g_x may be g_y.
void logistic_input_grad_s16(const int8_t* y, const int16_t* g_y, int16_t e_y, int32_t n, int16_t* g_x,
                             GradScale& s);

// MEAN: g_y [outer][middle][inner] -> g_x; 1 / (first second) = f 2^exponent, factor as above.
void mean_input_grad_s16(int16_t factor, int16_t exponent, const int16_t* g_y, int16_t e_y, const Reduce& shape,
                         int16_t* g_x, GradScale& s);

// AVERAGE_POOL_2D. A window that reaches over the border divides by the pixels it holds, so both tables are
// given for every count 1..k_h*k_w, at index count - 1: 1 / count = f 2^exponent, factor as above.
void average_pool_input_grad_s16(const Pool& p, const int16_t* factor, const int16_t* exponent,
                                 const int16_t* g_y, int16_t e_y, int16_t* g_x, GradScale& s);

// MAX_POOL_2D, from its input x.
void max_pool_input_grad_s16(const Pool& p, const int8_t* x, const int16_t* g_y, int16_t e_y, int16_t* g_x,
                             GradScale& s);

// PAD: the part of g_y that is not padding.
void pad_input_grad_s16(const Pad& p, const int16_t* g_y, int16_t* g_x);

// Ops that only move values: g_x [n] gets its outputs' gradients, less `bits` bits where several come together.
void move_input_grad_s16(const Strided& p, const int16_t* g_y, int16_t e_y, int32_t bits, int32_t n, int16_t* g_x,
                         GradScale& s);

// RESIZE_BILINEAR: sums of g_y by weight in Q20, moved right by `bits` to stay in int32.
void resize_bilinear_input_grad_s16(const Bilinear& p, const int16_t* g_y, int16_t e_y, int32_t bits, int16_t* g_x,
                                    GradScale& s);

// CONCATENATION: the slice of one input. g_y [outer][total] -> g_x [outer][inner].
void concatenation_input_grad_s16(const int16_t* g_y, int32_t outer, int32_t inner, int32_t total,
                                  int32_t offset, int16_t* g_x);

}  // namespace tfodl

#endif  // TFODL_GRADIENT_H
