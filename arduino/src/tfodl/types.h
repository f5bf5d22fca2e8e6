// Parameter structs shared by the kernels and the generated code. Arithmetic: docs/arithmetic.md.
// C++14, no allocation, no globals; every pointer is the caller's.
#ifndef TFODL_TYPES_H
#define TFODL_TYPES_H
#include "tfodl/machine.h"

#include <stdint.h>

namespace tfodl {

// CONV_2D, DEPTHWISE_CONV_2D (multiplier 1, out_c == in_c) and FULLY_CONNECTED (a 1x1 convolution of a
// 1x1 map). Maps are NHWC with N = 1, dilation 1.
struct Conv {
  int16_t in_h, in_w, in_c;
  int16_t out_h, out_w, out_c;
  uint8_t k_h, k_w, stride_h, stride_w;
  int16_t pad_top, pad_left;   // padding after follows from the shapes; padded pixels hold in_zero
  int16_t in_zero, out_zero;   // -128..127
  int16_t act_min, act_max;    // clamp of the output, -128..127
  const int8_t* weights;       // [out_c][k_h][k_w][in_c]; depthwise [k_h][k_w][in_c]; -127..127
  const int32_t* bias;         // [out_c], in RAM where it trains; never null
  const int32_t* multiplier;   // [out_c], Q31
  const int8_t* shift;         // [out_c], positive = left
  // Trained output channels: row co lives at trained + slot[co] * k_h * k_w * in_c when slot[co] >= 0.
  // Null slot: all rows in `weights`. (A depthwise layer with a trained channel lives whole in RAM:
  // `weights` points there, and so does `trained`.)
  const int16_t* slot;         // [out_c]
  int8_t* trained;             // RAM: rows [n][k_h][k_w][in_c], or columns [out_c][k_h][k_w][n_columns]
  // Trained input channels: `trained` holds these columns, in this order, and not `weights`, which has their first
  // values.
  const int16_t* columns;      // [n_columns], or null
  int16_t n_columns;
};

// Real gradient = g * 2^exponent; shift is the state of the rule in docs/arithmetic.md.
struct GradScale {
  int16_t exponent;
  int8_t shift;
};

// An autoencoder's output y against its input x, in LSB of y: 64 (y - y_zero) - (x - x_zero) ratio / 2^shift is 64
// times the difference, within +-32767; s_y / n = factor 2^(exponent - 15).
struct Reconstruction {
  int16_t factor, exponent;
  int16_t y_zero, x_zero, ratio, shift;
};

// What the gradient kernels need beside Conv.
struct ConvGrad {
  const int16_t* scale;  // m[co], Q15
  int16_t exponent;      // k + headroom
  int8_t headroom;       // h
};

enum class Rounding : uint8_t { kStochastic, kAccumulator };

// One training step's constants; lives in the generated engine.
struct Sgd {
  float learning_rate;  // already divided by the batch size; finite
  uint32_t seed;
  uint32_t step;        // train steps so far
  int16_t momentum;     // Q15, 0..32767
  Rounding rounding;
  bool apply;           // false while a batch is still being accumulated
};

// One trained tensor. State arrays are null where the optimizer keeps no such state; they are in the
// order of the trained parameters: rows [n][k_h][k_w][in_c], columns [out_c][k_h][k_w][n],
// depthwise [k_h][k_w][n], bias [n].
struct UpdateState {
  const float* scale;       // c[co], indexed by output channel (not by trained index)
  int32_t* batch;           // when batch > 1
  int32_t* momentum;        // when momentum > 0
  int16_t* accumulator;     // weights under Rounding::kAccumulator only
  uint32_t tensor;          // identity for the random numbers
  const int16_t* channels;  // [n] sorted trained channels (columns: input channels); null: 0..n-1
  int16_t n;                // number of trained channels, >= 1
};

// A map of which `rows` rows are in memory: row y lies at data + (y % rows) * w * c. A whole map has
// rows = h.
struct Rows {
  int8_t* data;
  int16_t rows;
};
struct ConstRows {
  const int8_t* data;
  int16_t rows;
};
// Of rows y0 <= y < y1, how many lie one behind the other from y0 on.
inline int32_t rows_in_one_piece(Rows y, int32_t y0, int32_t y1) {
  const int32_t left = y.rows - y0 % y.rows;
  return y1 - y0 < left ? y1 - y0 : left;
}

// ADD and SUB, TensorFlow Lite's scheme with left shift 20. Shifts are <= 0.
struct Add {
  int16_t a_zero, b_zero, out_zero, act_min, act_max;
  int32_t a_multiplier, b_multiplier, out_multiplier;  // Q31
  int8_t a_shift, b_shift, out_shift;
};

// An operand that is broadcast: element i of the result reads element (i / repeat) % size of it.
// One value a channel: {1, channels}; one a pixel: {channels, pixels}; whole: {1, n}.
struct Spread {
  int32_t repeat, size;
};

// x [outer][first][middle][second][inner] is summed over `first` and `second`.
struct Reduce {
  int32_t outer, first, middle, second, inner;
};

// One factor: MUL, QUANTIZE (int8 to int8), RELU, RELU6, MEAN.
struct Requantize {
  int16_t in_zero, b_zero;  // b_zero: second input of MUL
  int16_t out_zero, act_min, act_max;
  int32_t multiplier;  // Q31
  int8_t shift;        // positive = left
};

// PRELU: the factors of x and of alpha x, Q31; shifts positive = left.
struct Prelu {
  int16_t in_zero, alpha_zero, out_zero;
  int32_t multiplier, alpha_multiplier;
  int8_t shift, alpha_shift;
};

// AVERAGE_POOL_2D and MAX_POOL_2D. Padded pixels take no part.
struct Pool {
  int16_t in_h, in_w, channels;
  int16_t out_h, out_w;
  int16_t k_h, k_w, stride_h, stride_w;
  int16_t pad_top, pad_left;
  int16_t act_min, act_max;
};

// Ops that only move values (TRANSPOSE, SLICE, TILE ...): output (i, j, ...) in row-major order is input
// first + i stride[0] + j stride[1] + ...; a stride of 0 repeats.
struct Strided {
  int32_t size[6], stride[6], first;
};

// RESIZE_BILINEAR: output i of a side lies at input i scale / 1024, where half_pixel half a pixel (less half an input's)
// further on.
struct Bilinear {
  int16_t in_h, in_w, channels;
  int16_t out_h, out_w;
  int32_t scale_h, scale_w;
  bool half_pixel;
};

// PAD of height, width and channels; what is added after follows from the shapes.
struct Pad {
  int16_t in_h, in_w, in_c;
  int16_t out_h, out_w, out_c;
  int16_t top, left, front;
  int8_t value;
};

}  // namespace tfodl

#endif  // TFODL_TYPES_H
