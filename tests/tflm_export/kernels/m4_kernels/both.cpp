// Compiled twice: NAME(X) is fast_X, and plain_X with TFODL_PORTABLE and the namespace renamed.
#include "tfodl/kernels.h"

using namespace tfodl;

extern "C" {
void NAME(conv)(const void* p, const int8_t* x, int x_rows, int8_t* y, int y_rows, int y0, int y1, uint8_t* mask,
                void* scratch) {
  const Conv& conv = *static_cast<const Conv*>(p);
  conv_rows_s8(conv, {x, static_cast<int16_t>(x_rows)}, {y, static_cast<int16_t>(y_rows)},
               static_cast<int16_t>(y0), static_cast<int16_t>(y1), mask, scratch);
}
void NAME(depthwise)(const void* p, const int8_t* x, int x_rows, int8_t* y, int y_rows, int y0, int y1,
                     uint8_t* mask, void* scratch) {
  const Conv& conv = *static_cast<const Conv*>(p);
  depthwise_rows_s8(conv, {x, static_cast<int16_t>(x_rows)}, {y, static_cast<int16_t>(y_rows)},
                    static_cast<int16_t>(y0), static_cast<int16_t>(y1), mask, scratch);
}
void NAME(fully_connected)(const void* p, const int8_t* x, int8_t* y, uint8_t* mask, void* scratch) {
  fully_connected_s8(*static_cast<const Conv*>(p), x, y, mask, scratch);
}
void NAME(pointwise_grad)(const void* p, const void* q, const int16_t* g_y, int e_y, const uint8_t* mask,
                          int16_t* g_x, void* s, void* scratch) {
  pointwise_input_grad_s16(*static_cast<const Conv*>(p), *static_cast<const ConvGrad*>(q), g_y,
                           static_cast<int16_t>(e_y), mask, g_x, *static_cast<GradScale*>(s), scratch);
}
void NAME(depthwise_grad)(const void* p, const void* q, const int16_t* g_y, int e_y, const uint8_t* mask,
                          int16_t* g_x, void* s, void* scratch) {
  depthwise_input_grad_s16(*static_cast<const Conv*>(p), *static_cast<const ConvGrad*>(q), g_y,
                           static_cast<int16_t>(e_y), mask, g_x, *static_cast<GradScale*>(s), scratch);
}
void NAME(dense_update)(const void* p, const int8_t* x, const int16_t* g_y, int e_y, const void* sgd,
                        const void* state, int8_t* weights) {
  fully_connected_weights_update_s8(*static_cast<const Conv*>(p), x, g_y, static_cast<int16_t>(e_y), nullptr,
                                    *static_cast<const Sgd*>(sgd), *static_cast<const UpdateState*>(state),
                                    weights);
}
}
