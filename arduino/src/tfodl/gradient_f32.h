// Gradients in float32 and the updates from them: the reference for the int16 path of gradient.h and update.h.
// Contract: kernels.h; the order of every sum: docs/arithmetic.md, "Gradients in float32".
//
// A gradient is with respect to the real value of its tensor. Clip masks are applied by mask_grad_f32 alone:
// what the other kernels take as g_y has passed it.
#ifndef TFODL_GRADIENT_F32_H
#define TFODL_GRADIENT_F32_H
#include "tfodl/types.h"

namespace tfodl {

// Softmax cross-entropy on logits q [n], label < n: g [n]. table [256]: exp(-s_y k). *p_label: the label's
// probability, Q30, or null. False when every g is 0.
bool softmax_cross_entropy_f32(const float* table, const int8_t* q, int32_t n, int32_t label, float* g,
                               uint32_t* p_label);

// Mean squared error of q [n] against t [n] in the same quantisation: g = 2 (q - t) factor, factor = s_y / n.
// *sum_squares: sum (q - t)^2, or null. False when every g is 0.
bool mean_squared_error_f32(float factor, const int8_t* q, const int8_t* t, int32_t n, float* g,
                            uint32_t* sum_squares);

// Binary cross-entropy of n sigmoids on logits q [n] against t [n], 0 or not 0: g = (p - t) factor, factor = 1 / n.
// table [256]: p of logits k - 128, less 1 where it is above 1/2, never 0. *loss: the mean of -ln p, or null. False when every
// g is 0.
bool binary_cross_entropy_f32(const float* table, float factor, const int8_t* q, const int8_t* t, int32_t n, float* g,
                              float* loss);

// Mean squared difference of an autoencoder's output q [n] and its input x [n]: g = (s_y (q - z_y) - s_x (x - z_x))
// factor, factor = 2 / n. *squares: as of reconstruction_squares_s8, or null. False when every g is 0.
bool reconstruction_error_f32(const Reconstruction& p, float y_scale, float x_scale, float factor, const int8_t* q,
                              const int8_t* x, int32_t n, float* g, uint64_t* squares);

// CONV_2D and FULLY_CONNECTED: g_y [out_h][out_w][out_c] -> g_x [in_h][in_w][in_c]. scale [out_c]: s_w.
// Scratch: scaled gradients of up to 4 input pixels under every tap.
constexpr int32_t conv_input_grad_f32_scratch_bytes(const Conv& p) {
  return (p.in_h * p.in_w < 4 ? 4 : 16) * p.k_h * p.k_w * p.out_c;
}
void conv_input_grad_f32(const Conv& p, const float* scale, const float* g_y, float* g_x, void* scratch);

// DEPTHWISE_CONV_2D. Scratch: the taps over one input pixel.
constexpr int32_t depthwise_input_grad_f32_scratch_bytes(const Conv& p) { return 8 * p.k_h * p.k_w; }
void depthwise_input_grad_f32(const Conv& p, const float* scale, const float* g_y, float* g_x, void* scratch);

// A tensor with two readers: out = a + b. out may be a or b.
void add_grads_f32(const float* a, const float* b, int32_t n, float* out);

// out = g, -g where the mask's bit is set, else 0. out may be g. Null mask: every bit is set.
void mask_grad_f32(const float* g, const uint8_t* mask, int32_t n, float* out);
void negate_grad_f32(const float* g, int32_t n, float* out);

// MUL of n elements: gradient of the factor whose partner is `b` (int8, scale * (b - b_zero)); both may be broadcast.
// g_x [x_spread.size], and may be g_y when that is n.
void mul_input_grad_f32(float scale, int16_t b_zero, const int8_t* b, const Spread& b_spread, const float* g_y,
                        int32_t n, const Spread& x_spread, float* g_x);

// ADD, SUB and repeat_s8 of a broadcast operand: g_x[j] = sign times the sum of the n gradients that element j has a
// part in. g_x [spread.size].
void sum_grad_f32(int32_t sign, const float* g_y, int32_t n, const Spread& spread, float* g_x);

// MINIMUM and MAXIMUM, as extremum_input_grad_s16.
void extremum_input_grad_f32(int32_t sign, int32_t limit, const int8_t* x, const Spread& x_spread, const int8_t* b,
                             const Spread& b_spread, const float* g_y, int32_t n, float* g_x);

// TANH, HARD_SWISH, ELU and the like from the input x: slope [256] as in lookup_input_grad_s16. g_x may be g_y.
void lookup_input_grad_f32(const int16_t* slope, const int8_t* x, const float* g_y, int32_t n, float* g_x);

// PRELU, as prelu_input_grad_s16.
void prelu_input_grad_f32(const int16_t* slope, const Spread& slope_spread, int16_t x_zero, const int8_t* x,
                          const float* g_y, int32_t n, float* g_x);

// LOGISTIC from its output y (scale 1/256, zero point -128). g_x may be g_y.
void logistic_input_grad_f32(const int8_t* y, const float* g_y, int32_t n, float* g_x);

// MEAN: g_y [outer][middle][inner] -> g_x.
void mean_input_grad_f32(const float* g_y, const Reduce& shape, float* g_x);

void average_pool_input_grad_f32(const Pool& p, const float* g_y, float* g_x);
void max_pool_input_grad_f32(const Pool& p, const int8_t* x, const float* g_y, float* g_x);

// PAD: the part of g_y that is not padding.
void pad_input_grad_f32(const Pad& p, const float* g_y, float* g_x);

// Ops that only move values: g_x [n] gets the sum of its outputs' gradients.
void move_input_grad_f32(const Strided& p, const float* g_y, int32_t n, float* g_x);

// RESIZE_BILINEAR: sums of g_y by weight.
void resize_bilinear_input_grad_f32(const Bilinear& p, const float* g_y, float* g_x);

// CONCATENATION: the slice of one input. g_y [outer][total] -> g_x [outer][inner].
void concatenation_input_grad_f32(const float* g_y, int32_t outer, int32_t inner, int32_t total, int32_t offset,
                                  float* g_x);

// Gradients of weights and biases, fused with their update as in update.h: the same arguments, states, rounding and
// random numbers. No scratch.

// CONV_2D and FULLY_CONNECTED, output channels: weights are the rows [n][k_h][k_w][in_c].
void conv_weights_update_f32(const Conv& p, const int8_t* x, const float* g_y, const Sgd& sgd,
                             const UpdateState& state, int8_t* weights);
// Input channels: x [in_h][in_w][n] holds those only, weights are the columns [out_c][k_h][k_w][n].
void conv_columns_update_f32(const Conv& p, const int8_t* x, const float* g_y, const Sgd& sgd,
                             const UpdateState& state, int8_t* weights);
// Channels of a depthwise layer: weights [k_h][k_w][in_c] whole, x [in_h][in_w][n] the trained channels only.
void depthwise_weights_update_f32(const Conv& p, const int8_t* x, const float* g_y, const Sgd& sgd,
                                  const UpdateState& state, int8_t* weights);
void bias_update_f32(const float* g_y, int32_t positions, int32_t out_c, const Sgd& sgd, const UpdateState& state,
                     int32_t* bias);

}  // namespace tfodl

#endif  // TFODL_GRADIENT_F32_H
