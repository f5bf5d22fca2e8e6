// Parameter structs shared by the kernels and the generated code. Arithmetic: docs/arithmetic.md.
// C++14, no allocation, no globals; every pointer is the caller's.
#pragma once
#include <stdint.h>

namespace tfodl {

// CONV_2D, DEPTHWISE_CONV_2D (multiplier 1, out_c == in_c) and FULLY_CONNECTED (a 1x1 convolution of a
// 1x1 map). Maps are NHWC with N = 1.
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
  // Null slot: all rows in `weights`. (A depthwise layer with a trained channel lives whole in RAM.)
  const int16_t* slot;         // [out_c]
  int8_t* trained;             // RAM: rows [n][k_h][k_w][in_c], or columns [out_c][k_h][k_w][n_columns]
  // Trained input channels: `weights` holds 0 in these columns and `trained` the columns, in this order.
  const int16_t* columns;      // [n_columns], or null
  int16_t n_columns;
};

// Real gradient = g * 2^exponent; shift is the state of the rule in docs/arithmetic.md.
struct GradScale {
  int16_t exponent;
  int8_t shift;
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
  float learning_rate;  // already divided by the batch size
  uint32_t seed;
  uint32_t step;
  int16_t momentum;     // Q15
  Rounding rounding;
  bool apply;           // false while a batch is still being accumulated
};

// One trained tensor. Null where the optimizer keeps no such state.
struct UpdateState {
  const float* scale;    // c[co]
  int32_t* batch;        // [n]
  int32_t* momentum;     // [n]
  int16_t* accumulator;  // [n], weights only
  uint32_t tensor;       // identity for the random numbers
};

}  // namespace tfodl
