// Layers that remember: kernels of UNIDIRECTIONAL_SEQUENCE_LSTM and SVDF. States are bytes; int16 in them may lie
// anywhere.
#ifndef TFODL_RECURRENT_H
#define TFODL_RECURRENT_H
#include <stdint.h>

namespace tfodl {

// One gate: requantisation of its sums over the input and over the last hidden values to 2^-12.
struct LstmGate {
  const int8_t* input;      // [units][depth]
  const int8_t* recurrent;  // [units][units]
  const int32_t* bias;      // [units]
  int32_t input_multiplier, input_shift, recurrent_multiplier, recurrent_shift;
};

// UNIDIRECTIONAL_SEQUENCE_LSTM. Multiplier and shift (positive = left) of f c, i g and o tanh(c).
struct Lstm {
  int32_t steps, depth, units;
  int32_t in_zero, out_zero, cell_clip;  // cell_clip 0: none
  int32_t keep_multiplier, keep_shift, add_multiplier, add_shift, give_multiplier, give_shift;
  int32_t tanh_multiplier, tanh_shift;  // of a cell to the table's argument; the shift is right
  const uint16_t* sigmoid;              // [256]: 2^16 / (1 + exp(-i / 24))
  LstmGate gates[4];                    // input, forget, cell, output
};

// x [steps][depth]; state: hidden int8 [units], cells int16 [units]. y: hidden [steps][units], then the cells: its
// last 3 units bytes are the next state.
void lstm_s8(const Lstm& p, const int8_t* x, const int8_t* state, int8_t* y);

// SVDF, the dense layer before the memory. weights [filters][depth].
struct SvdfState {
  int32_t depth, filters, memory, in_zero, state_zero;
  int32_t multiplier, shift;
  const int8_t* weights;
};

// state [filters][memory], int8 or int16, moves on by a step; its last column is what x [depth] gives.
void svdf_state_s8(const SvdfState& p, const int8_t* x, int8_t* state);
void svdf_state_s16(const SvdfState& p, const int8_t* x, int8_t* state);

// SVDF, what is read from the memory. weights [units * rank][memory] of the state's type; bias [units] or null.
struct SvdfOutput {
  int32_t units, rank, memory, state_zero, out_zero;
  int32_t multiplier, shift;
  const void* weights;
  const int32_t* bias;
};

// y [units], clamped to int8. The sums go round in int32.
void svdf_output_s8(const SvdfOutput& p, const int8_t* state, int8_t* y);
void svdf_output_s16(const SvdfOutput& p, const int8_t* state, int8_t* y);

}  // namespace tfodl

#endif  // TFODL_RECURRENT_H
