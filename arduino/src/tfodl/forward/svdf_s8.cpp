#include "tfodl/detail/hot.h"
#include "tfodl/detail/fixed_point.h"
#include "tfodl/recurrent.h"

#include <string.h>

namespace tfodl {
namespace {

template <class T>
T value_at(const int8_t* state, int32_t i) {
  T value;
  memcpy(&value, state + i * static_cast<int32_t>(sizeof value), sizeof value);
  return value;
}

template <class T>
void next_state(const SvdfState& p, const int8_t* x, int8_t* state, int32_t low, int32_t high) {
  const int32_t width = static_cast<int32_t>(sizeof(T)), row = p.memory * width;
  memmove(state, state + width, static_cast<size_t>(p.filters * row - width));
  const int8_t* w = p.weights;
  for (int32_t f = 0; f < p.filters; ++f, w += p.depth) {
    int32_t sum = 0;
    for (int32_t i = 0; i < p.depth; ++i) sum += w[i] * (x[i] - p.in_zero);
    const T last = static_cast<T>(clamp_s32(requantize(sum, p.multiplier, p.shift), low, high) + p.state_zero);
    memcpy(state + (f + 1) * row - width, &last, sizeof last);
  }
}

template <class T>
void output_of(const SvdfOutput& p, const int8_t* state, int8_t* y) {
  const T* w = static_cast<const T*>(p.weights);
  const int32_t n = p.rank * p.memory;
  for (int32_t u = 0; u < p.units; ++u, w += n) {
    uint32_t sum = p.bias ? static_cast<uint32_t>(p.bias[u]) : 0U;
    for (int32_t i = 0; i < n; ++i) {
      sum += static_cast<uint32_t>(w[i] * (value_at<T>(state, u * n + i) - p.state_zero));
    }
    const int32_t v = requantize(static_cast<int32_t>(sum), p.multiplier, p.shift) + p.out_zero;
    y[u] = static_cast<int8_t>(clamp_s32(v, -128, 127));
  }
}

}  // namespace

void svdf_state_s8(const SvdfState& p, const int8_t* x, int8_t* state) { next_state<int8_t>(p, x, state, -128, 127); }

void svdf_state_s16(const SvdfState& p, const int8_t* x, int8_t* state) {
  next_state<int16_t>(p, x, state, -32768, 32767);
}

void svdf_output_s8(const SvdfOutput& p, const int8_t* state, int8_t* y) { output_of<int8_t>(p, state, y); }

void svdf_output_s16(const SvdfOutput& p, const int8_t* state, int8_t* y) { output_of<int16_t>(p, state, y); }

}  // namespace tfodl
