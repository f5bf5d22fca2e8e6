// What a generated engine needs around its kernels.
#ifndef TFODL_SUPPORT_H
#define TFODL_SUPPORT_H
#include "tfodl/types.h"

namespace tfodl {

// A trained tensor in RAM, to be saved and restored as plain bytes (weights int8, biases int32, little endian).
struct Parameter {
  const char* name;  // the tensor's name in the .tflite
  void* data;
  uint32_t nbytes : 31;
  uint32_t is_bias : 1;
};

// Whether a number is a learning rate: not NaN, > 0 (1e-30), at most a million.
constexpr float kMinLearningRate = 1e-30f, kMaxLearningRate = 1e6f;
inline bool is_learning_rate(float rate) { return rate >= kMinLearningRate && rate <= kMaxLearningRate; }

// Share of the weights in `n` trained tensors that are at +-127, 0 to 1: the health of a net that learns. One that
// was wrecked by a rate too high has many; compare with the share after reset().
float saturated_share(const Parameter* parameters, int32_t n);

// A loss that follows the last 50 steps or so: loss = running_loss(loss, train_step(label)), -1 at first.
float running_loss(float before, float loss);

// The first values of a trained bias [n] in flash: numbers of `bits` bits, 1 to 32, one behind the other, lowest bit
// first. The lowest number that these can hold says that one of 32 bits follows.
struct PackedBias {
  const uint8_t* packed;
  int32_t* bias;
  int16_t n;
  uint8_t bits;
};

void unpack_biases(const PackedBias* biases, int32_t count);

// Switches the nRF52840's instruction cache on, which is off at reset (without it all takes 1.3 times as long).
// Nothing on any other chip. An engine calls it in reset(), one that only infers in infer().
void enable_instruction_cache();

// Index of the first largest of n >= 1 values.
int32_t argmax_s8(const int8_t* values, int32_t n);

// How many of the logits q [n] lie on their targets' side: above zero where t is not 0, at most zero where it is.
int32_t count_right_s8(const int8_t* q, int32_t zero, const int8_t* t, int32_t n);

// -ln p for p in Q30, 0 counted as the smallest; within 2e-5. For people to watch, no kernel reads it.
float cross_entropy(uint32_t p_q30);

// rates [out_c]: steps of an integer parameter per unit of learning rate, factor * R or (inverse) factor / R with
// R = multiplier * 2^(shift - 31); 0 where the multiplier is 0. docs/arithmetic.md, "Update".
void update_rates(const Conv& p, float factor, bool inverse, float* rates);

// m [out_c] of ConvGrad: R * multiplier * 2^(shift - 31) in integers. docs/arithmetic.md, "Prepared gradient".
void grad_factors(const Conv& p, int32_t multiplier, int32_t shift, int16_t* m);

// Rows `channels` [n] of a table of rows, one behind the other: out [n][row_bytes].
void copy_rows_s8(const int8_t* rows, const int16_t* channels, int32_t n, int32_t row_bytes, int8_t* out);

}  // namespace tfodl

#endif  // TFODL_SUPPORT_H
