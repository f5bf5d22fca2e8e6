// A chain of convolutions run row by row through small ring buffers: bit for bit what running them one
// after the other gives, but no map between them ever exists whole. Contract: kernels.h.
#ifndef TFODL_STREAM_H
#define TFODL_STREAM_H
#include "tfodl/types.h"

namespace tfodl {

enum class StageKind : uint8_t { kConv, kPointwise, kDepthwise };

// Writes row `y` of the net's input: [in_w][in_c], int8.
using RowSource = void (*)(int32_t y, int8_t* row);

// One layer of the chain. Its output goes to `ring`, of ring_rows(...) rows; the last stage's ring is the whole
// output map.
struct Stage {
  StageKind kind;
  const Conv* conv;
  Rows ring;
  int16_t step;             // output rows computed at a time, >= 1: more is faster and takes higher rings
  uint8_t* mask;            // of the whole output map, or null
  // Kept for the backward pass: channels of the output, [out_h][out_w][n_saved], or null.
  int8_t* saved;
  const int16_t* channels;  // [n_saved]; null: the first n_saved
  int16_t n_saved;
};

// Height of the ring between a stage that computes `step` rows at a time and the next one, `next`, which
// computes `next_step`.
constexpr int32_t ring_rows(int32_t step, const Conv& next, int32_t next_step) {
  const int32_t rows = (next_step - 1) * next.stride_h + next.k_h + step - 1;
  return rows < next.in_h ? rows : next.in_h;
}

// x: the first stage's whole input map. residual: null, or an ADD of the last stage's output and
// `skip` (a whole map of the same shape, often x) that goes to `y` with its clip mask `mask`; then the last
// stage's ring needs `step` rows only. n_stages <= 8.
// A row that no later stage reads is not computed; its mask and saved channels are left as they are.
// The output may lie over x where output row r is written only after the input rows under it were last
// read: see docs/kernels.md.
struct Residual {
  const Add* add;
  const int8_t* skip;
  int8_t* y;
  uint8_t* mask;
};

// scratch: the largest that any stage asks for by itself.
void stream_s8(const Stage* stages, int32_t n_stages, const int8_t* x, const Residual* residual, void* scratch);

// The same without x: stages[0] is the input, of any kind: out_h, out_w and out_c of its `conv` say what `source` gives,
// which is asked for every row that a stage reads, once, from the first on. n_stages <= 9.
void stream_fed_s8(const Stage* stages, int32_t n_stages, RowSource source, const Residual* residual, void* scratch);

}  // namespace tfodl

#endif  // TFODL_STREAM_H
