#include "tfodl/detail/cold.h"
#include <string.h>

#include "tfodl/dsp/dsp.h"
#include "tfodl/detail/inner.h"
#include "tfodl/detail/tap_cursor.h"
#include "tfodl/update.h"
#include "tfodl/detail/update_step.h"

namespace tfodl {
namespace {

// What the updates of one layer share. `channels` counts those of `x`.
struct Layer {
  const Conv& p;
  const int8_t* x;
  int32_t channels;
  const int16_t* g_y;
  const uint8_t* mask;

  int32_t positions() const { return p.out_h * p.out_w; }
  int32_t taps() const { return p.k_h * p.k_w; }
};

// Gradient of output channel `co` at `n` positions from `first`, to every `step`th place of `out`.
void gather_grad(const Layer& layer, int32_t co, int32_t first, int32_t n, int32_t step, int16_t* out) {
  const int32_t out_c = layer.p.out_c;
  int32_t at = first * out_c + co;
  for (int32_t i = 0; i < n; ++i, at += out_c, out += step) {
    *out = !layer.mask || get_bit(layer.mask, at) ? layer.g_y[at] : int16_t{0};
  }
}

// The exact gradients of a dense layer's row, one after the other.
struct Outer {
  const int8_t* x;
  int32_t g, zero;
  int32_t operator()() { return g * (*x++ - zero); }
};

// Found before the template of update_step.h.
inline void step_stochastic(int8_t* w, const int8_t* end, Outer sum, Run number, int32_t high, int32_t down) {
  if (TFODL_DSP) return dsp::step_outer_s8(w, end, sum.x, sum.g, sum.zero, number.next, high, down);
  tfodl::step_stochastic<Outer, Run>(w, end, sum, number, high, down);
}

// sums[j] += g[i][j] (x[j] - zero) over n positions of a tap, kChannels channels from c on; g [n][kChannels].
template <int kChannels>
__attribute__((noinline)) void add_tap(const Layer& layer, TapCursor cursor, int32_t c, const int16_t* g, int32_t n,
                                       int64_t* sums) {
  const int32_t zero = layer.p.in_zero;
  int32_t part[kChannels] = {};
  for (int32_t i = 0; i < n; ++i, g += kChannels) {
    const int8_t* pixel = cursor.next();
    if (!pixel) continue;
    for (int32_t j = 0; j < kChannels; ++j) part[j] += g[j] * (pixel[c + j] - zero);
  }
  for (int32_t j = 0; j < kChannels; ++j) sums[j] += part[j];
}

// Exact gradients of channels j..j + kChannels of x, all taps, in `sums` [k_h * k_w][kChannels].
template <int kChannels>
void depthwise_sums(const Layer& layer, const int16_t* channels, int32_t j, int16_t* grads, int64_t* sums) {
  const int32_t positions = layer.positions();
  memset(sums, 0, sizeof(int64_t) * static_cast<size_t>(layer.taps() * kChannels));
  for (int32_t first = 0; first < positions; first += kChunk) {
    const int32_t n = positions - first < kChunk ? positions - first : kChunk;
    for (int32_t i = 0; i < kChannels; ++i) {
      gather_grad(layer, channels ? channels[j + i] : j + i, first, n, kChannels, grads + i);
    }
    for (int32_t tap = 0; tap < layer.taps(); ++tap) {
      const TapCursor cursor(layer.p, layer.x, layer.channels, tap, first);
      add_tap<kChannels>(layer, cursor, j, grads, n, sums + tap * kChannels);
    }
  }
}

constexpr int32_t kMostPositions = 65536;  // whose gradients always sum up within int32

int64_t sum_one(const int16_t* g, const uint8_t* mask, int32_t positions, int32_t out_c, int32_t co) {
  int64_t sum = 0;
  for (int32_t p = 0, at = co; p < positions; ++p, at += out_c) {
    if (!mask || get_bit(mask, at)) sum += g[at];
  }
  return sum;
}

// Channels co..co + 7 of every position, co and out_c multiples of 8: one byte of the mask each. At most
// kMostPositions.
void sum_eight(const int16_t* g, const uint8_t* mask, int32_t positions, int32_t out_c, int32_t co, int32_t* sums) {
  const int16_t* const end = g + positions * out_c + co;
  g += co, mask += co >> 3;
  if (TFODL_DSP) return dsp::tfodl_sum_eight(g, mask, 2 * out_c, end, sums);
  memset(sums, 0, 8 * sizeof *sums);
  for (; g < end; g += out_c, mask += out_c >> 3) {
    for (int32_t i = 0; i < 8; ++i) sums[i] += ((*mask >> i) & 1) * g[i];
  }
}

}  // namespace

void fully_connected_weights_update_s8(const Conv& conv, const int8_t* x, const int16_t* g_y, int16_t e_y,
                                       const uint8_t* mask, const Sgd& sgd, const UpdateState& state,
                                       int8_t* weights) {
  const int32_t in_c = conv.in_c, zero = conv.in_zero;
  const Stepper stepper(sgd, state);
  for (int32_t r = 0; r < state.n; ++r) {
    const int32_t co = state.channels ? state.channels[r] : r, at = r * in_c, at_whole = co * in_c;
    const int32_t g = !mask || get_bit(mask, co) ? g_y[co] : 0;
    if (g == 0 && stepper.plain()) continue;
    const WeightUnits units(rate_of(sgd.learning_rate, state.scale[co], e_y));
    stepper.weights(weights + at, in_c, at, units, Outer{x, g, zero}, 
                    Run{stepper.key() + static_cast<uint32_t>(at_whole)});
  }
}

void depthwise_weights_update_s8(const Conv& conv, const int8_t* x, const int16_t* g_y, int16_t e_y,
                                 const uint8_t* mask, const Sgd& sgd, const UpdateState& state,
                                 int8_t* weights, void* scratch) {
  const Conv p = conv;
  const Layer layer = {p, x, state.n, g_y, mask};
  const int32_t taps = layer.taps(), n = state.n;
  int64_t* sums = static_cast<int64_t*>(scratch);
  int16_t* grads = reinterpret_cast<int16_t*>(sums + 4 * taps);
  const Stepper stepper(sgd, state);
  for (int32_t j = 0, together; j < n; j += together) {
    together = j + 4 <= n ? 4 : 1;
    (together == 4 ? depthwise_sums<4> : depthwise_sums<1>)(layer, state.channels, j, grads, sums);
    for (int32_t i = 0; i < together; ++i) {
      const int32_t c = state.channels ? state.channels[j + i] : j + i;
      const Rate rate = rate_of(sgd.learning_rate, state.scale[c], e_y);
      for (int32_t tap = 0; tap < taps; ++tap) {
        const int32_t at = tap * p.in_c + c;
        const int32_t u = weight_units(sums[tap * together + i], rate);
        weights[at] = stepper.weight(weights[at], u, tap * n + j + i, stepper.key() + static_cast<uint32_t>(at));
      }
    }
  }
}

void bias_update_s32(const int16_t* g_y, int16_t e_y, const uint8_t* mask, int32_t positions, int32_t out_c,
                     const Sgd& sgd, const UpdateState& state, int32_t* bias) {
  const Stepper stepper(sgd, state);
  const bool few = positions <= kMostPositions, eights = few && mask && out_c % 8 == 0 && !state.channels;
  for (int32_t j = 0, n; j < state.n; j += n) {
    const int32_t co = state.channels ? state.channels[j] : j;
    int32_t sums[8];
    int64_t sum = 0;
    n = eights && j + 8 <= state.n ? 8 : 1;
    if (n == 8) {
      sum_eight(g_y, mask, positions, out_c, co, sums);
    } else {
      sum = sum_one(g_y, mask, positions, out_c, co);
      sums[0] = static_cast<int32_t>(sum);
    }
    const uint32_t number = stepper.key() + static_cast<uint32_t>(co);
    int32_t i = 0;
    if (few && stepper.plain()) i = step_biases(bias + co, n, sums, state.scale + co, sgd.learning_rate, e_y, number);
    for (; i < n; ++i) {
      const Rate rate = rate_of(sgd.learning_rate, state.scale[co + i], e_y);
      const int64_t units = step_units(n == 8 ? sums[i] : sum, rate, kBiasUnits);
      bias[co + i] = stepper.bias(bias[co + i], units, j + i, number + static_cast<uint32_t>(i));
    }
  }
}

}  // namespace tfodl
