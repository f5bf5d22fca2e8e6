// The inner loop of depthwise layers: one channel's plane, widened to int16 with its padding, times one k x k
// kernel; 4 outputs of a row at a time, two products an instruction.
#pragma once
#include "dsp.h"

#if TFODL_DSP
namespace tfodl {
namespace dsp {

// Read by the assembly: keep order and size.
struct RowsBlock {
  int32_t multiplier, right_shift, offset;  // as in RequantBlock of block_dsp.h
  void* y;                  // requantize: int8 outputs; sums: int32 [rows][quads][4]
  int32_t stride;           // from output to output
  int32_t bias;
  const uint32_t* weights;  // see kernel_words
  int32_t x_back;           // bytes: k rows down, less 4 outputs to the right
  int32_t quads_left, quads;
  int32_t x_skip, y_skip;   // bytes from the end of a row of outputs to the start of the next
  int32_t rows;             // of outputs
  const uint32_t* x;
  int32_t row_bytes;        // of the plane
};

using RowsKernel = void (*)(const RowsBlock*);

extern "C" {
void tfodl_rows_requantize_3_1(const RowsBlock*);
void tfodl_rows_requantize_3_2(const RowsBlock*);
void tfodl_rows_requantize_5_1(const RowsBlock*);
void tfodl_rows_requantize_5_2(const RowsBlock*);
void tfodl_rows_requantize_7_1(const RowsBlock*);
void tfodl_rows_requantize_7_2(const RowsBlock*);
void tfodl_rows_sums_3_1(const RowsBlock*);
void tfodl_rows_sums_3_2(const RowsBlock*);
void tfodl_rows_sums_5_1(const RowsBlock*);
void tfodl_rows_sums_5_2(const RowsBlock*);
void tfodl_rows_sums_7_1(const RowsBlock*);
void tfodl_rows_sums_7_2(const RowsBlock*);
}

}  // namespace dsp
}  // namespace tfodl
#endif
