// The same kernel twice in one program: fast_X as built for the Cortex-M4, plain_X the portable one.
#pragma once
#include "tfodl/kernels.h"

#define BOTH(result, name, ...)                    \
  extern "C" result fast_##name(__VA_ARGS__);      \
  extern "C" result plain_##name(__VA_ARGS__);

BOTH(void, conv, const void* p, const int8_t* x, int x_rows, int8_t* y, int y_rows, int y0, int y1, uint8_t* mask,
     void* scratch)
BOTH(void, depthwise, const void* p, const int8_t* x, int x_rows, int8_t* y, int y_rows, int y0, int y1,
     uint8_t* mask, void* scratch)
BOTH(void, fully_connected, const void* p, const int8_t* x, int8_t* y, uint8_t* mask, void* scratch)
BOTH(void, pointwise_grad, const void* p, const void* q, const int16_t* g_y, int e_y, const uint8_t* mask,
     int16_t* g_x, void* s, void* scratch)
BOTH(void, depthwise_grad, const void* p, const void* q, const int16_t* g_y, int e_y, const uint8_t* mask,
     int16_t* g_x, void* s, void* scratch)
BOTH(void, dense_update, const void* p, const int8_t* x, const int16_t* g_y, int e_y, const void* sgd,
     const void* state, int8_t* weights)
