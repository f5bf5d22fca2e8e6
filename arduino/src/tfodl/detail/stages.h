// How a stream runs, for the two files that each have one way in, so that all of it is inlined in both. Internal.
#ifndef TFODL_DETAIL_STAGES_H
#define TFODL_DETAIL_STAGES_H
#include "tfodl/forward.h"
#include "tfodl/stream.h"

namespace tfodl {
namespace {

constexpr int32_t kMaxStages = 8;  // besides the input

ConstRows input_of(const Stage* stages, int32_t i, const int8_t* x) {
  if (i == 0) return {x, stages[0].conv->in_h};
  return {stages[i - 1].ring.data, stages[i - 1].ring.rows};
}

// Input rows that output row `y` needs to exist: all before this one.
int32_t rows_needed(const Conv& p, int32_t y) {
  const int32_t end = y * p.stride_h - p.pad_top + p.k_h;
  return end < 0 ? 0 : end < p.in_h ? end : p.in_h;
}

void run_rows(const Stage& stage, ConstRows x, int16_t y0, int16_t y1, void* scratch) {
  const Conv& p = *stage.conv;
  switch (stage.kind) {
    case StageKind::kConv: conv_rows_s8(p, x, stage.ring, y0, y1, stage.mask, scratch); break;
    case StageKind::kPointwise: pointwise_rows_s8(p, x, stage.ring, y0, y1, stage.mask, scratch); break;
    case StageKind::kDepthwise: depthwise_rows_s8(p, x, stage.ring, y0, y1, stage.mask, scratch); break;
  }
}

int8_t* ring_row(const Stage& stage, int32_t y) {
  return stage.ring.data + (y % stage.ring.rows) * stage.conv->out_w * stage.conv->out_c;
}

void save_row(const Stage& stage, int32_t y) {
  const Conv& p = *stage.conv;
  int8_t* saved = stage.saved + y * p.out_w * stage.n_saved;
  gather_channels_s8(ring_row(stage, y), p.out_w, p.out_c, stage.channels, stage.n_saved, saved);
}

void add_row(const Residual& r, const Stage& last, int32_t y) {
  const int32_t n = last.conv->out_w * last.conv->out_c;
  add_range_s8(*r.add, ring_row(last, y), r.skip + y * n, y * n, n, r.y + y * n, r.mask);
}

// The next rows of stage i end here.
int16_t block_end(const Stage& stage, int32_t done) {
  const int32_t end = done + stage.step, out_h = stage.conv->out_h;
  return static_cast<int16_t>(end < out_h ? end : out_h);
}

// kFed: stages[0] is the input, from `source`; else it reads x.
template <bool kFed>
inline void run_stages(const Stage* stages, int32_t n_stages, const int8_t* x, RowSource source,
                       const Residual* residual, void* scratch) {
  const int32_t last = n_stages - 1;
  int16_t done[kMaxStages + kFed] = {};  // rows that each stage has computed
  while (done[last] < stages[last].conv->out_h) {
    int32_t i = last;  // the deepest stage that another waits for
    while (i > 0 && done[i - 1] < rows_needed(*stages[i].conv, block_end(stages[i], done[i]) - 1)) --i;
    const Stage& stage = stages[i];
    const int16_t end = block_end(stage, done[i]);
    if (kFed && i == 0) {
      for (int32_t y = done[0]; y < end; ++y) source(y, ring_row(stage, y));
    } else {
      run_rows(stage, input_of(stages, i, x), done[i], end, scratch);
    }
    for (; done[i] < end; ++done[i]) {
      if (stage.saved) save_row(stage, done[i]);
      if (i == last && residual) add_row(*residual, stage, done[i]);
    }
  }
}

}  // namespace
}  // namespace tfodl

#endif  // TFODL_DETAIL_STAGES_H
