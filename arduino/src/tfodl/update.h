// Weight and bias gradients, fused with their update: no gradient tensor ever exists. Contract: kernels.h.
#ifndef TFODL_UPDATE_H
#define TFODL_UPDATE_H
#include "tfodl/types.h"

namespace tfodl {

// Groups of 4 positions that the two kernels below take at a time, and quads of 4 input channels.
constexpr int32_t update_groups(const Conv& p) {
  return p.out_h * p.out_w < 256 ? (p.out_h * p.out_w + 3) >> 2 : 64;
}
constexpr int32_t update_quads(const Conv& p, int32_t channels) {
  const int32_t all = p.k_h * p.k_w * ((channels + 3) >> 2), fitting = 128 / update_groups(p);
  const int32_t most = fitting > 32 ? 32 : fitting;
  return all < most ? all : most;
}

// Scratch: the inputs of a tile of quads, the gradients of two rows, their sums, and wider ones on maps over 256
// positions.
constexpr int32_t rows_update_scratch_bytes(const Conv& p, int32_t channels) {
  return update_quads(p, channels) * (32 * update_groups(p) + (p.out_h * p.out_w > 256 ? 96 : 32)) +
         16 * update_groups(p);
}

// Output channels `state.channels` of a convolution; `weights` are their rows [n][k_h][k_w][in_c].
// x [in_h][in_w][in_c], g_y [out_h][out_w][out_c].
constexpr int32_t conv_weights_update_s8_scratch_bytes(const Conv& p) {
  return rows_update_scratch_bytes(p, p.in_c);
}
void conv_weights_update_s8(const Conv& p, const int8_t* x, const int16_t* g_y, int16_t e_y,
                            const uint8_t* mask, const Sgd& sgd, const UpdateState& state, int8_t* weights,
                            void* scratch);

// Input channels `state.channels` of a convolution; x [in_h][in_w][n] holds those channels only (see
// gather_channels_s8), `weights` are the columns [out_c][k_h][k_w][n].
constexpr int32_t conv_columns_update_s8_scratch_bytes(const Conv& p, int32_t n) {
  return rows_update_scratch_bytes(p, n);
}
void conv_columns_update_s8(const Conv& p, const int8_t* x, const int16_t* g_y, int16_t e_y,
                            const uint8_t* mask, const Sgd& sgd, const UpdateState& state, int8_t* weights,
                            void* scratch);

constexpr int32_t kQuadsOfRows = 3, kMostRows = 32;
// The same of a part of a layer, at most kMostRows of its output channels, from `first` (a multiple of 8) on: `conv`, gradients,
// mask, rates, state and weights are that part's.
constexpr int32_t update_quads_of_rows(const Conv& p, int32_t channels) {
  return update_quads(p, channels) < kQuadsOfRows ? update_quads(p, channels) : kQuadsOfRows;
}
constexpr int32_t conv_columns_of_rows_update_s8_scratch_bytes(const Conv& p, int32_t n) {
  return update_quads_of_rows(p, n) * (32 * update_groups(p) + (p.out_h * p.out_w > 256 ? 96 : 32)) + 16 * update_groups(p);
}
void conv_columns_of_rows_update_s8(const Conv& conv, int32_t first, const int8_t* x, const int16_t* g_y, int16_t e_y,
                                    const uint8_t* mask, const Sgd& sgd, const UpdateState& state, int8_t* weights,
                                    void* scratch);

// FULLY_CONNECTED: rows `state.channels`, weights [n][in_c]. No scratch.
void fully_connected_weights_update_s8(const Conv& p, const int8_t* x, const int16_t* g_y, int16_t e_y,
                                       const uint8_t* mask, const Sgd& sgd, const UpdateState& state,
                                       int8_t* weights);

// Channels `state.channels` of a depthwise layer. `weights` [k_h][k_w][in_c] whole; x [in_h][in_w][n] holds
// the trained channels only (n == in_c: the map itself). Scratch: 4 channels' sums and gradients.
constexpr int32_t depthwise_weights_update_s8_scratch_bytes(const Conv& p) {
  return 32 * p.k_h * p.k_w + 8 * (p.out_h * p.out_w < 256 ? p.out_h * p.out_w : 256);
}
void depthwise_weights_update_s8(const Conv& p, const int8_t* x, const int16_t* g_y, int16_t e_y,
                                 const uint8_t* mask, const Sgd& sgd, const UpdateState& state,
                                 int8_t* weights, void* scratch);

// Biases `state.channels` of any of them: g_y [positions][out_c], bias [out_c] (all of them). No scratch.
void bias_update_s32(const int16_t* g_y, int16_t e_y, const uint8_t* mask, int32_t positions, int32_t out_c,
                     const Sgd& sgd, const UpdateState& state, int32_t* bias);

}  // namespace tfodl

#endif  // TFODL_UPDATE_H
