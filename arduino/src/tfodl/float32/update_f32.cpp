// Weight and bias gradients in float32, fused with their update: 4 x 4 sums at a time go straight into the weights.
#include "tfodl/float32/hot_f32.h"
#include "tfodl/gradient_f32.h"
#include "tfodl/detail/tap_cursor.h"
#include "tfodl/detail/update_step.h"

namespace tfodl {
namespace {

constexpr int32_t kTogether = 4;  // output channels, and input channels

constexpr float kWeightLimit = 524288.0f, kBiasLimit = 70368744177664.0f;  // of |U|: 2^19, 2^46

// U = -rate * sum in 1 / 65536 LSB of the parameter, halves away from zero when its fraction is cut off.
float float_units(float rate, float sum, float limit) {
  const float v = rate * sum * 65536.0f;
  const float held = v >= limit ? limit : v > -limit ? v : -limit;
  return held < 0.0f ? 0.5f - held : -0.5f - held;
}

int32_t weight_step(float rate, float sum) { return static_cast<int32_t>(float_units(rate, sum, kWeightLimit)); }

// In two words, each exact: the compiler's own conversion to 64 bits calculates in double.
int64_t bias_step(float rate, float sum) {
  const float u = float_units(rate, sum, kBiasLimit);
  const int32_t high = static_cast<int32_t>(u * (1.0f / 16777216.0f));
  const float low = u - static_cast<float>(high) * 16777216.0f;
  return int64_t{high} * 16777216 + static_cast<int32_t>(low);
}

// What the update of one layer is about. Null names: 0, 1, ...
struct Layer {
  const Conv& p;
  const int8_t* x;
  int32_t channels;      // of x
  const int16_t* rows;   // names of the trained output channels
  const int16_t* columns;  // names of the channels of x
  const float* g_y;
  const Sgd& sgd;
  const float* scale;
  int8_t* weights;

  int32_t row(int32_t r) const { return rows ? rows[r] : r; }
  int32_t column(int32_t c) const { return columns ? columns[c] : c; }
  float rate(int32_t co) const { return sgd.learning_rate * scale[co]; }
};

// Where a block of sums lies: rows r.., channels c.. of one tap.
struct Place {
  int32_t r, tap, c;
};

template <int kRows, int kChannels>
void sum_block(const Layer& layer, Place at, float (&sums)[kRows][kChannels]) {
  const Conv& p = layer.p;
  int32_t rows[kRows];
  for (int32_t i = 0; i < kRows; ++i) rows[i] = layer.row(at.r + i);
  const float* g = layer.g_y;
  TapCursor cursor(p, layer.x + at.c, layer.channels, at.tap, 0);
  for (int32_t n = p.out_h * p.out_w; n > 0; --n, g += p.out_c) {
    const int8_t* pixel = cursor.next();
    if (!pixel) continue;
    float x[kChannels];
    for (int32_t c = 0; c < kChannels; ++c) x[c] = static_cast<float>(pixel[c] - p.in_zero);
    for (int32_t i = 0; i < kRows; ++i) {
      const float grad = g[rows[i]];
      for (int32_t c = 0; c < kChannels; ++c) sums[i][c] += grad * x[c];
    }
  }
}

template <int kRows, int kChannels>
__attribute__((noinline)) void update_block(const Layer& layer, const Stepper& stepper, Place at) {
  float sums[kRows][kChannels] = {};
  sum_block(layer, at, sums);
  const int32_t taps = layer.p.k_h * layer.p.k_w;
  for (int32_t i = 0; i < kRows; ++i) {
    const int32_t co = layer.row(at.r + i), first = ((at.r + i) * taps + at.tap) * layer.channels + at.c;
    const int32_t number = (co * taps + at.tap) * layer.p.in_c;
    for (int32_t c = 0; c < kChannels; ++c) {
      const int32_t u = weight_step(layer.rate(co), sums[i][c]);
      if (u == 0 && stepper.plain()) continue;  // nothing changes
      const uint32_t x = stepper.key() + static_cast<uint32_t>(number + layer.column(at.c + c));
      layer.weights[first + c] = stepper.weight(layer.weights[first + c], u, first + c, x);
    }
  }
}

template <int kRows>
void update_rows(const Layer& layer, const Stepper& stepper, int32_t r) {
  for (int32_t tap = 0; tap < layer.p.k_h * layer.p.k_w; ++tap) {
    int32_t c = 0;
    for (; c + kTogether <= layer.channels; c += kTogether) {
      update_block<kRows, kTogether>(layer, stepper, {r, tap, c});
    }
    for (; c < layer.channels; ++c) update_block<kRows, 1>(layer, stepper, {r, tap, c});
  }
}

void update_layer(const Layer& layer, const Stepper& stepper, int32_t rows) {
  int32_t r = 0;
  for (; r + kTogether <= rows; r += kTogether) update_rows<kTogether>(layer, stepper, r);
  for (; r < rows; ++r) update_rows<1>(layer, stepper, r);
}

// sums[j] of one tap: channels j + c of x with their gradients.
template <int kChannels>
void depthwise_sums(const Layer& layer, Place at, float (&sums)[kChannels]) {
  const Conv& p = layer.p;
  int32_t names[kChannels];
  for (int32_t c = 0; c < kChannels; ++c) names[c] = layer.column(at.c + c);
  const float* g = layer.g_y;
  TapCursor cursor(p, layer.x + at.c, layer.channels, at.tap, 0);
  for (int32_t n = p.out_h * p.out_w; n > 0; --n, g += p.out_c) {
    const int8_t* pixel = cursor.next();
    if (!pixel) continue;
    for (int32_t c = 0; c < kChannels; ++c) sums[c] += g[names[c]] * static_cast<float>(pixel[c] - p.in_zero);
  }
}

template <int kChannels>
__attribute__((noinline)) void update_depthwise(const Layer& layer, const Stepper& stepper, Place at) {
  float sums[kChannels] = {};
  depthwise_sums(layer, at, sums);
  for (int32_t i = 0; i < kChannels; ++i) {
    const int32_t c = layer.column(at.c + i), place = at.tap * layer.p.in_c + c;
    const int32_t u = weight_step(layer.rate(c), sums[i]);
    const uint32_t x = stepper.key() + static_cast<uint32_t>(place);
    layer.weights[place] = stepper.weight(layer.weights[place], u, at.tap * layer.channels + at.c + i, x);
  }
}

}  // namespace

void conv_weights_update_f32(const Conv& conv, const int8_t* x, const float* g_y, const Sgd& sgd,
                             const UpdateState& state, int8_t* weights) {
  const Conv p = conv;
  update_layer({p, x, p.in_c, state.channels, nullptr, g_y, sgd, state.scale, weights}, Stepper(sgd, state), state.n);
}

void conv_columns_update_f32(const Conv& conv, const int8_t* x, const float* g_y, const Sgd& sgd,
                             const UpdateState& state, int8_t* weights) {
  const Conv p = conv;
  update_layer({p, x, state.n, nullptr, state.channels, g_y, sgd, state.scale, weights}, Stepper(sgd, state), p.out_c);
}

void depthwise_weights_update_f32(const Conv& conv, const int8_t* x, const float* g_y, const Sgd& sgd,
                                  const UpdateState& state, int8_t* weights) {
  const Conv p = conv;
  const Layer layer = {p, x, state.n, nullptr, state.channels, g_y, sgd, state.scale, weights};
  const Stepper stepper(sgd, state);
  for (int32_t tap = 0; tap < p.k_h * p.k_w; ++tap) {
    int32_t c = 0;
    for (; c + kTogether <= state.n; c += kTogether) update_depthwise<kTogether>(layer, stepper, {0, tap, c});
    for (; c < state.n; ++c) update_depthwise<1>(layer, stepper, {0, tap, c});
  }
}

void bias_update_f32(const float* g_y, int32_t positions, int32_t out_c, const Sgd& sgd, const UpdateState& state,
                     int32_t* bias) {
  const Stepper stepper(sgd, state);
  for (int32_t j = 0; j < state.n; ++j) {
    const int32_t co = state.channels ? state.channels[j] : j;
    float sum = 0.0f;
    for (int32_t i = 0, at = co; i < positions; ++i, at += out_c) sum += g_y[at];
    const int64_t u = bias_step(sgd.learning_rate * state.scale[co], sum);
    bias[co] = stepper.bias(bias[co], u, j, stepper.key() + static_cast<uint32_t>(co));
  }
}

}  // namespace tfodl
