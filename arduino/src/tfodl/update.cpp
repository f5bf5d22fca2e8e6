#include "hot.h"
#include <string.h>

#include "inner.h"
#include "update.h"
#include "update_step.h"

namespace tfodl {
namespace {

constexpr int32_t kChunk = 256;  // positions whose products always fit int32

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

// Gradient of output channel `co` at `n` positions from `first`.
void gather_grad(const Layer& layer, int32_t co, int32_t first, int32_t n, int16_t* out) {
  const int32_t out_c = layer.p.out_c;
  int32_t at = first * out_c + co;
  for (int32_t i = 0; i < n; ++i, at += out_c) {
    out[i] = !layer.mask || get_bit(layer.mask, at) ? layer.g_y[at] : int16_t{0};
  }
}

// The positions of one tap in one output row that lie in the map and in the chunk.
struct Segment {
  int32_t first, n;   // position, count
  const int8_t* x;    // input pixel of the first
};

int32_t ceil_div(int32_t a, int32_t b) { return a > 0 ? (a + b - 1) / b : 0; }

// Calls `visit(segment)` for every output row of the chunk [begin, end) of positions.
template <class Visit>
void for_segments(const Layer& layer, int32_t ky, int32_t kx, int32_t begin, int32_t end, Visit visit) {
  const Conv& p = layer.p;
  const int32_t left = p.pad_left - kx, out_w = p.out_w;
  const int32_t x0 = ceil_div(left, p.stride_w), over = p.in_w - 1 + left;
  const int32_t x1 = over < 0 ? 0 : over / p.stride_w + 1 < out_w ? over / p.stride_w + 1 : out_w;
  for (int32_t oy = begin / out_w; oy * out_w < end; ++oy) {
    const int32_t iy = oy * p.stride_h + ky - p.pad_top, row = oy * out_w;
    const int32_t from = row + x0 > begin ? row + x0 : begin, to = row + x1 < end ? row + x1 : end;
    if (iy < 0 || iy >= p.in_h || from >= to) continue;
    const int32_t ix = (from - row) * p.stride_w - left;
    visit(Segment{from, to - from, layer.x + (iy * p.in_w + ix) * layer.channels});
  }
}

// The exact gradients of a dense layer's row, one after the other.
struct Outer {
  const int8_t* x;
  int32_t g, zero;
  int32_t operator()() { return g * (*x++ - zero); }
};

// g[i] . (x[i * step] - zero)
__attribute__((noinline)) int64_t dot(const int16_t* __restrict g, const int8_t* __restrict x, int32_t n, int32_t step, int32_t zero) {
  int64_t total = 0;
  for (int32_t begin = 0; begin < n; begin += kChunk) {
    const int32_t end = begin + kChunk < n ? begin + kChunk : n;
    int32_t sum = 0;
    for (int32_t i = begin; i < end; ++i, x += step) sum += g[i] * (*x - zero);
    total += sum;
  }
  return total;
}

constexpr int32_t kMostPositions = 65536;  // whose gradients always sum up within int32

int64_t sum_one(const int16_t* g, const uint8_t* mask, int32_t positions, int32_t out_c, int32_t co) {
  int64_t sum = 0;
  for (int32_t p = 0, at = co; p < positions; ++p, at += out_c) {
    if (!mask || get_bit(mask, at)) sum += g[at];
  }
  return sum;
}

// A word of two gradients under two bits of the mask.
constexpr uint32_t kHalves[4] = {0, 0xFFFF, 0xFFFF0000, 0xFFFFFFFF};

// Channels co..co + 7 of every position, co and out_c multiples of 8: one byte of the mask each. At most
// kMostPositions.
__attribute__((noinline)) void sum_eight(const int16_t* g, const uint8_t* mask, int32_t positions, int32_t out_c,
                                         int32_t co, int32_t* sums) {
  int32_t even[4] = {}, odd[4] = {};
  const int16_t* const end = g + positions * out_c;
  mask += mask ? co >> 3 : 0;
  for (g += co; g < end; g += out_c) {
    const uint32_t bits = mask ? *mask : 255;
    mask += mask ? out_c >> 3 : 0;
    for (int32_t i = 0; i < 4; ++i) {
      uint32_t word;
      memcpy(&word, g + 2 * i, 4);
      word &= kHalves[(bits >> (2 * i)) & 3];
      even[i] += static_cast<int16_t>(word);
      odd[i] += static_cast<int32_t>(word) >> 16;
    }
  }
  for (int32_t i = 0; i < 4; ++i) sums[2 * i] = even[i], sums[2 * i + 1] = odd[i];
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
  const int32_t positions = layer.positions(), n = state.n;
  int16_t* grads = static_cast<int16_t*>(scratch);
  const Stepper stepper(sgd, state);
  for (int32_t j = 0; j < n; ++j) {
    const int32_t c = state.channels ? state.channels[j] : j;
    const Rate rate = rate_of(sgd.learning_rate, state.scale[c], e_y);
    gather_grad(layer, c, 0, positions, grads);
    for (int32_t tap = 0; tap < layer.taps(); ++tap) {
      int64_t sum = 0;
      for_segments(layer, tap / p.k_w, tap % p.k_w, 0, positions, [&](const Segment& s) {
        sum += dot(grads + s.first, s.x + j, s.n, p.stride_w * n, p.in_zero);
      });
      const int32_t i = tap * p.in_c + c;
      weights[i] = stepper.weight(weights[i], step_units(sum, rate, kWeightUnits), tap * n + j,
                                  stepper.key() + static_cast<uint32_t>(i));
    }
  }
}

void bias_update_s32(const int16_t* g_y, int16_t e_y, const uint8_t* mask, int32_t positions, int32_t out_c,
                     const Sgd& sgd, const UpdateState& state, int32_t* bias) {
  const Stepper stepper(sgd, state);
  const auto step = [&](int32_t j, int32_t co, int64_t sum) {
    const Rate rate = rate_of(sgd.learning_rate, state.scale[co], e_y);
    const uint32_t number = stepper.key() + static_cast<uint32_t>(co);
    bias[co] = stepper.bias(bias[co], step_units(sum, rate, kBiasUnits), j, number);
  };
  const bool eights = out_c % 8 == 0 && !state.channels && positions <= kMostPositions;
  const int32_t in_eights = eights ? state.n & ~7 : 0;
  for (int32_t co = 0; co < in_eights; co += 8) {
    int32_t sums[8];
    sum_eight(g_y, mask, positions, out_c, co, sums);
    for (int32_t i = 0; i < 8; ++i) step(co + i, co + i, sums[i]);
  }
  for (int32_t j = in_eights; j < state.n; ++j) {
    const int32_t co = state.channels ? state.channels[j] : j;
    step(j, co, sum_one(g_y, mask, positions, out_c, co));
  }
}

}  // namespace tfodl
