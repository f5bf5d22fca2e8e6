// The inner loop of depthwise layers: one channel's plane, widened to int16 with its padding, times one k x k
// kernel; 4 outputs of a row at a time, two products an instruction.
#pragma once
#include "tfodl/dsp/dsp.h"

#if TFODL_DSP
#include "tfodl/dsp/widen_dsp.h"

namespace tfodl {
namespace dsp {

// Read by the assembly: keep order and size.
struct RowsBlock {
  int32_t quads_left;       // = quads
  void* y;                  // relu: int8 outputs; sums: int32 [rows][quads][4]
  int32_t multiplier, right_shift, offset;  // as in RequantBlock of block_dsp.h; sums: unused
  int32_t stride;           // from output to output
  int32_t x_back;           // bytes: k rows down, less 4 outputs to the right
  const uint32_t* weights;  // see fill_kernel
  int32_t bias;
  int32_t quads;
  int32_t x_skip, y_skip;   // bytes from the end of a row of outputs to the start of the next
  int32_t rows;             // of outputs
  const uint32_t* x;
  int32_t row_bytes;        // of the plane
  const uint32_t* weights_end;
};

// The same frame with other names; stride 1 only.
struct NarrowRowsBlock {
  int32_t quads_left;
  int16_t* y;
  int32_t half_shift;  // shift - 1 >= 0
  int32_t one;         // 1
  uint32_t bits;       // 0
  int32_t stride;      // bytes
  int32_t x_back;
  const uint32_t* weights;
  int32_t bias;        // 0
  int32_t quads;
  int32_t x_skip, y_skip;
  int32_t rows;
  const uint32_t* x;
  int32_t row_bytes;
  const uint32_t* weights_end;
};

using RowsKernel = void (*)(const RowsBlock*);

extern "C" {
// From weights and biases times 2^kReluBits, see relu_channel.
void tfodl_rows_relu_3_1(const RowsBlock*);
void tfodl_rows_relu_3_2(const RowsBlock*);
void tfodl_rows_relu_5_1(const RowsBlock*);
void tfodl_rows_relu_5_2(const RowsBlock*);
void tfodl_rows_relu_7_1(const RowsBlock*);
void tfodl_rows_relu_7_2(const RowsBlock*);
void tfodl_rows_sums_3_1(const RowsBlock*);
void tfodl_rows_sums_3_2(const RowsBlock*);
void tfodl_rows_sums_5_1(const RowsBlock*);
void tfodl_rows_sums_5_2(const RowsBlock*);
void tfodl_rows_sums_7_1(const RowsBlock*);
void tfodl_rows_sums_7_2(const RowsBlock*);
// Rounded shift, saturation to +-32767, store. The OR of all |sums|.
uint32_t tfodl_rows_narrow_3(const NarrowRowsBlock*);
uint32_t tfodl_rows_narrow_5(const NarrowRowsBlock*);
uint32_t tfodl_rows_narrow_7(const NarrowRowsBlock*);
}

constexpr int32_t kernel_words(int32_t k, int32_t stride) { return stride == 1 ? k * (k - 1) : k * ((k + 1) >> 1); }

// The k * k weights at w, w + step, ... times `factor` in the order that the assembly reads: kernel_words.
inline void fill_kernel(const int8_t* w, int32_t step, int32_t k, int32_t stride, int32_t factor, uint32_t* to) {
  for (int32_t ky = 0; ky < k; ++ky) {
    int32_t left = *w * factor;
    w += step;
    for (int32_t kx = k >> 1; kx > 0; --kx) {
      const int32_t middle = *w * factor, right = w[step] * factor;
      w += 2 * step;
      *to++ = low_halves(uint32_t(left), uint32_t(middle));
      if (stride == 1) *to++ = low_halves(uint32_t(middle), uint32_t(right));
      left = right;
    }
    if (stride == 2) *to++ = uint32_t(left) & 0xFFFFu;
  }
}

}  // namespace dsp
}  // namespace tfodl
#endif
