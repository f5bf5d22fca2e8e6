// Forward kernels, int8, bit for bit TensorFlow Lite Micro's. Contract: kernels.h.
#ifndef TFODL_FORWARD_H
#define TFODL_FORWARD_H
#include "tfodl/detail/tile.h"

namespace tfodl {

// One widened column with its trained input channels.
constexpr int32_t column_bytes(const Conv& p) { return 2 * ((p.k_h * p.k_w * (p.in_c + p.n_columns) + 3) & ~3); }

// Widened columns of a tile and of four rows of weights. The portable code needs two widened columns, with their
// trained input channels, and that is never more. A dense layer needs one.
constexpr int32_t conv_s8_scratch_bytes(const Conv& p) {
  const int32_t groups = (p.k_h * p.k_w * p.in_c + 3) >> 2;
  return is_dense(p) ? column_bytes(p) : groups * (8 * conv_tile(p) + 32);
}

// CONV_2D. x [in_h][in_w][in_c], y [out_h][out_w][out_c], mask out_h*out_w*out_c bits.
void conv_s8(const Conv& p, const int8_t* x, int8_t* y, uint8_t* mask, void* scratch);

// Output rows y0 <= y < y1 only; x must hold the input rows that they read. mask is that of the whole map.
void conv_rows_s8(const Conv& p, ConstRows x, Rows y, int16_t y0, int16_t y1, uint8_t* mask, void* scratch);

// CONV_2D with k = 1, stride 1, no padding: same result as conv_s8, faster.
constexpr int32_t pointwise_s8_scratch_bytes(const Conv& p) { return conv_s8_scratch_bytes(p); }
void pointwise_s8(const Conv& p, const int8_t* x, int8_t* y, uint8_t* mask, void* scratch);
void pointwise_rows_s8(const Conv& p, ConstRows x, Rows y, int16_t y0, int16_t y1, uint8_t* mask,
                       void* scratch);
// The same, some pixels at a time: slower, with less scratch. out_c is a multiple of 8.
constexpr int32_t pointwise_pixels_s8_scratch_bytes(const Conv& p, int32_t pixels) {
  return pointwise_s8_scratch_bytes(some_pixels(p, pixels));
}
void pointwise_pixels_s8(const Conv& p, int32_t pixels, const int8_t* x, int8_t* y, uint8_t* mask, void* scratch);

// FULLY_CONNECTED: x [in_c], y [out_c].
constexpr int32_t fully_connected_s8_scratch_bytes(const Conv& p) { return column_bytes(p); }
void fully_connected_s8(const Conv& p, const int8_t* x, int8_t* y, uint8_t* mask, void* scratch);

// DEPTHWISE_CONV_2D, multiplier 1. Scratch: the bias with the input's zero point folded in; or the planes of a
// band and the sums of some rows.
constexpr int32_t depthwise_s8_scratch_bytes(const Conv& p) {
  const DepthwiseBand band = depthwise_band(p);
  const int32_t planes = 16 * (band.in_rows * band.row_words + band.quads * band.sum_rows);
  return planes > 4 * p.in_c ? planes : 4 * p.in_c;
}
void depthwise_s8(const Conv& p, const int8_t* x, int8_t* y, uint8_t* mask, void* scratch);
void depthwise_rows_s8(const Conv& p, ConstRows x, Rows y, int16_t y0, int16_t y1, uint8_t* mask,
                       void* scratch);

// ADD and SUB (a - b) of n elements. y may be a or b.
void add_s8(const Add& p, const int8_t* a, const int8_t* b, int32_t n, int8_t* y, uint8_t* mask);
void sub_s8(const Add& p, const int8_t* a, const int8_t* b, int32_t n, int8_t* y, uint8_t* mask);
// Elements first <= i < first + n of a larger map: a, b, y point at the first, mask is the whole map's.
void add_range_s8(const Add& p, const int8_t* a, const int8_t* b, int32_t first, int32_t n, int8_t* y,
                  uint8_t* mask);

// MUL of n elements. y may be a or b.
void mul_s8(const Requantize& p, const int8_t* a, const int8_t* b, int32_t n, int8_t* y, uint8_t* mask);

// ADD, SUB and MUL of operands that are broadcast to n elements. y may be an operand that is not.
void add_broadcast_s8(const Add& p, const int8_t* a, const Spread& a_spread, const int8_t* b,
                      const Spread& b_spread, int32_t n, int8_t* y, uint8_t* mask);
void sub_broadcast_s8(const Add& p, const int8_t* a, const Spread& a_spread, const int8_t* b,
                      const Spread& b_spread, int32_t n, int8_t* y, uint8_t* mask);
void mul_broadcast_s8(const Requantize& p, const int8_t* a, const Spread& a_spread, const int8_t* b,
                      const Spread& b_spread, int32_t n, int8_t* y, uint8_t* mask);

// MINIMUM and MAXIMUM of operands of one quantisation that are spread to n elements. y may be an operand that is
// not broadcast.
void minimum_s8(const int8_t* a, const Spread& a_spread, const int8_t* b, const Spread& b_spread, int32_t n,
                int8_t* y);
void maximum_s8(const int8_t* a, const Spread& a_spread, const int8_t* b, const Spread& b_spread, int32_t n,
                int8_t* y);

// PRELU: x, or alpha x below 0; alpha is spread to n elements. y may be x.
void prelu_s8(const Prelu& p, const int8_t* x, const int8_t* alpha, const Spread& alpha_spread, int32_t n, int8_t* y,
              uint8_t* mask);

// y[i] = x[(i / repeat) % size], n elements: every channel several times, before a depthwise layer of a
// multiplier above 1.
void repeat_s8(const int8_t* x, const Spread& spread, int32_t n, int8_t* y);

// QUANTIZE int8 -> int8, RELU and RELU6 (the clamp is p.act_min, p.act_max). y may be x.
void requantize_s8(const Requantize& p, const int8_t* x, int32_t n, int8_t* y, uint8_t* mask);
inline void relu_s8(const Requantize& p, const int8_t* x, int32_t n, int8_t* y, uint8_t* mask) {
  requantize_s8(p, x, n, y, mask);
}

// y[i] = table[x[i] + 128]: LOGISTIC, TANH, ELU and the like. table [256]. y may be x.
void lookup_s8(const int8_t* table, const int8_t* x, int32_t n, int8_t* y);
inline void logistic_s8(const int8_t* table, const int8_t* x, int32_t n, int8_t* y) {
  lookup_s8(table, x, n, y);
}

// SOFTMAX of every row: x [rows][n] -> y [rows][n] (scale 1/256, zero point -128). table [256] int32: Q31
// exp(-beta s_x k), as the fixed-point exponential of TensorFlow Lite gives it, 0 below its cut-off.
void softmax_s8(const int32_t* table, const int8_t* x, int32_t rows, int32_t n, int8_t* y);

// LOG_SOFTMAX of every row: x [rows][n] -> y [rows][n] (scale 1/16, zero point 127). exps [256]: as in softmax_s8 for
// beta 1; arguments [256]: -s_x k in Q5.26, at least -16.
void log_softmax_s8(const int32_t* exps, const int32_t* arguments, const int8_t* x, int32_t rows, int32_t n,
                    int8_t* y);

// MEAN: y [outer][middle][inner]. p.multiplier and p.shift hold s_x / (s_y first second) in the form of TensorFlow
// Lite's integer mean.
void mean_s8(const Requantize& p, const Reduce& shape, const int8_t* x, int8_t* y);

// x [in_h][in_w][channels] -> y [out_h][out_w][channels].
void average_pool_s8(const Pool& p, const int8_t* x, int8_t* y);
void max_pool_s8(const Pool& p, const int8_t* x, int8_t* y);

void pad_s8(const Pad& p, const int8_t* x, int8_t* y);

// Elements of x in another order, some of them, or some several times.
void move_s8(const Strided& p, const int8_t* x, int8_t* y);

// RESIZE_BILINEAR: x [in_h][in_w][channels] -> y [out_h][out_w][channels].
void resize_bilinear_s8(const Bilinear& p, const int8_t* x, int8_t* y);

// One input of a CONCATENATION: x [outer][inner] into y [outer][total] at `offset` of every row.
void concatenation_s8(const int8_t* x, int32_t outer, int32_t inner, int32_t total, int32_t offset, int8_t* y);

// Keep some channels for the backward pass: y[p][j] = x[p][channels[j]], null: the first n.
// x [positions][in_c], y [positions][n].
void gather_channels_s8(const int8_t* x, int32_t positions, int32_t in_c, const int16_t* channels, int32_t n,
                        int8_t* y);

}  // namespace tfodl

#endif  // TFODL_FORWARD_H
