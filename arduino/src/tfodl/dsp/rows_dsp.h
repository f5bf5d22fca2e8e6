// The inner loops of depthwise layers: planes of one channel, widened to int16 with their padding, times one
// kernel of up to k x k weights each; 4 outputs of a row at a time, two products an instruction.
#ifndef TFODL_DSP_ROWS_DSP_H
#define TFODL_DSP_ROWS_DSP_H
#include "tfodl/dsp/dsp.h"

#if TFODL_DSP
#include "tfodl/dsp/widen_dsp.h"

namespace tfodl {
namespace dsp {

constexpr int32_t kRowsChannels = 4;  // filtered together: the bytes of a word

// What rows_dsp.cpp does with 4 sums.
enum class RowsEnd : uint8_t {
  kRelu,    // to int8, see relu_channel; from weights and biases times 2^kReluBits
  kMasked,  // the same with clip masks, whose bits are shifted in from below: the last channel first
  kNarrow,  // rounded shift, saturation to +-32767; from weights times 2
  kSums     // int32, in whole quads
};

// Read by the assembly: keep order and size.
struct RowsFactors {
  int32_t bias, multiplier, right_shift, offset;  // kNarrow: 0, the shift, 1, and 0 that becomes the OR of |2 sum|
  int32_t low;                                    // kMasked: a gradient passes in low .. low + range
  uint32_t range;
};
struct RowsBlock {
  int32_t x_back;        // bytes: some rows of the kernel down, less 4 outputs to the right
  int32_t stride;        // bytes from output to output
  uintptr_t first_row;   // code, as the next two
  uintptr_t other_rows;
  uintptr_t end;
  int32_t surplus;       // outputs of the last quad (or pair) that do not count
  int32_t x_skip, y_skip;  // bytes from the end of a row of outputs to the start of the next
  int32_t x_row;         // bytes of the plane from a row of outputs to the next
  int32_t relu_mask;     // -1 where `end` begins in line: kRelu
  int32_t row_bytes;     // of the plane
  uintptr_t behind;      // code, behind the last quad: kRelu of 3x3
  // From here on of the last channel, and moved on to the one before it.
  const uint32_t* x;
  const uint32_t* weights;
  RowsFactors* factors;
  int32_t rows;          // of outputs
  uint8_t* mask;
  int32_t width;         // bytes of the plane that a row of outputs moves over
  int32_t used_bytes;    // of a channel's kernel
  void* y;
  int32_t channels, weight_bytes, plane_bytes, y_bytes;
};
struct RowsKernel {
  uintptr_t whole, more;   // code: all rows of the kernel, the second one
  int32_t row_code, rows;  // bytes of code of a row; how often it stands from `more` on
};

extern "C" {
void tfodl_rows(RowsBlock*);
extern const RowsKernel tfodl_rows_kernels[6];  // 3x3, 5x5, 7x7, each for stride 1 and 2
extern const uintptr_t tfodl_rows_ends[7];  // by RowsEnd; where rows are left out; the next row; two outputs
}

// How much of a layer's map, one call of tfodl_rows.
struct RowsShape {
  int32_t k_w, stride_w, stride_h, out_w;
  int32_t row_words, plane_words;  // of a plane
  int32_t kernel_words;            // of a channel's kernel
};

inline int32_t row_kernel_words(int32_t k_w, int32_t stride_w) { return stride_w == 1 ? k_w - 1 : (k_w + 1) >> 1; }

// What all channels have in common: `taps` rows of the kernel, a row of outputs `y_row` bytes long.
RowsBlock rows_block(const RowsShape& shape, int32_t taps, RowsEnd end, int32_t stride, int32_t y_row);

// The short requantisation of channels c .. c + n - 1, false where one does not allow it. With masks: a multiplier of
// 2^30 or more leaves a sum above 0 at 1 or more. `low`: as in MaskedChannel.
bool relu_factors(const Conv& p, int32_t c, int32_t n, bool masked, RowsFactors* to);

// `rows` rows of the kernels of 4 channels, whose weights are at w, w + tap, ..., in the order that the assembly
// reads, times 2^bits; channel i from to + i * kernel_words on.
void fill_kernels(const int8_t* w, int32_t tap, int32_t row, int32_t rows, const RowsShape& shape, int32_t bits,
                  uint32_t* to);

}  // namespace dsp
}  // namespace tfodl
#endif

#endif  // TFODL_DSP_ROWS_DSP_H
