// Scores of the candidates' channels, and who is bought by them. Numpy's twin: tflm_export/living/rules.py, velocity.py.
#include "tfodl/detail/cold.h"
#include "tfodl/detail/no_fma.h"
#include "tfodl/detail/update_step.h"
#include "tfodl/pool/pool.h"

#include <math.h>

namespace tfodl {
namespace {

constexpr uint32_t kChoose = 0xffff0004U;  // whose random numbers

float load_float(const void* at) {
  float value;
  memcpy(&value, at, sizeof value);
  return value;
}

// x 2^e, rounded once while it is a normal number.
float times_power_of_2(float x, int32_t e) {
  constexpr float kLeast = 1.17549435e-38f, kMost = 1.70141183e38f;  // 2^-126, 2^127
  for (; e < -126; e += 126) x *= kLeast;
  for (; e > 127; e -= 127) x *= kMost;
  const uint32_t bits = static_cast<uint32_t>(127 + e) << 23;
  return x * load_float(&bits);
}

// Without libm's sqrtf, which would set errno.
float square_root(float x) {
#if defined(__ARM_FP) && __ARM_FP & 4
  __asm("vsqrt.f32 %0, %0" : "+t"(x));
  return x;
#else
  return sqrtf(x);
#endif
}

float cosine(float dot, float now, float before) {
  const float norms = square_root(now * before);
  if (!(norms > 0.0f)) return now == 0.0f && before == 0.0f ? 1.0f : 0.0f;
  const float phi = dot / norms;
  return phi < -1.0f ? -1.0f : phi > 1.0f ? 1.0f : phi;
}

void random_scores(const ChannelPool& pool, uint32_t epoch, float* scores) {
  const uint32_t key = mix(mix(pool.seed + 0x9e3779b9U * epoch) ^ (0x85ebca6bU * kChoose));
  for (int32_t i = 0; i < pool.channels; ++i) {
    scores[i] = static_cast<float>(mix(key + static_cast<uint32_t>(i)) >> 8);
  }
}

float earned(const ChannelPool& pool, int32_t layer) {
  return square_root(pool.norms[layer]) / static_cast<float>(pool.layers[layer].gradient_bytes);
}

// The layer that earns most behind `last` in the ranking, ties by number; last < 0: the first.
int32_t next_layer(const ChannelPool& pool, int32_t last) {
  int32_t best = -1;
  for (int32_t i = 0; i < pool.count; ++i) {
    const float e = earned(pool, i), limit = last < 0 ? e : earned(pool, last);
    if (last >= 0 && (e > limit || (e == limit && i <= last))) continue;
    if (best < 0 || e > earned(pool, best)) best = i;
  }
  return best;
}

void keep_top_layers(const ChannelPool& pool, float* scores) {
  float whole = 0.0f, held = 0.0f;
  int32_t layer = -1;
  for (int32_t i = 0; i < pool.count; ++i) whole += earned(pool, layer = next_layer(pool, layer));
  layer = -1;
  for (int32_t i = 0; i < pool.count; ++i) {
    layer = next_layer(pool, layer);
    const Candidate& c = pool.layers[layer];
    const bool enough = held > 0.0f && held >= pool.top * whole;
    for (int32_t k = 0; enough && k < c.channels; ++k) scores[c.first + k] = -1.0f;
    held += earned(pool, layer);
  }
}

// A heap of channel numbers, the best on top.
struct Heap {
  const float* scores;
  uint16_t* order;
  int32_t n;

  bool before(int32_t a, int32_t b) const {
    const float x = scores[order[a]], y = scores[order[b]];
    return x > y || (x == y && order[a] < order[b]);
  }

  void sink(int32_t i) {
    for (int32_t child; (child = 2 * i + 1) < n; i = child) {
      if (child + 1 < n && before(child + 1, child)) ++child;
      if (!before(child, i)) return;
      const uint16_t other = order[i];
      order[i] = order[child];
      order[child] = other;
    }
  }

  uint16_t take() {
    const uint16_t best = order[0];
    order[0] = order[--n];
    sink(0);
    return best;
  }
};

}  // namespace

void pool_compares(const ChannelPool& pool, int32_t layer, const int8_t* now, const int8_t* before, int32_t* sums) {
  const Candidate& c = pool.layers[layer];
  int32_t* const to = sums + c.first;
  for (int32_t k = 0; k < c.channels; ++k) {
    int64_t dot = 0, squares = 0, squares_before = 0;
    for (int32_t at = k, end = c.positions * c.channels; at < end; at += c.channels) {
      const int32_t a = now[at] - c.zero, b = before[at] - c.zero;
      dot += a * b, squares += a * a, squares_before += b * b;
    }
    to[k] += static_cast<int32_t>(dot >> c.positions_shift);
    to[k + pool.channels] += static_cast<int32_t>(squares >> c.positions_shift);
    to[k + 2 * pool.channels] += static_cast<int32_t>(squares_before >> c.positions_shift);
  }
}

void pool_velocities(const ChannelPool& pool, int32_t* sums, const float* phi_before, const float* v_before) {
  for (int32_t i = 0; i < pool.channels; ++i) {
    int32_t* const at = sums + i;
    const float now = static_cast<float>(at[pool.channels]), before = static_cast<float>(at[2 * pool.channels]);
    const float phi = cosine(static_cast<float>(at[0]), now, before);
    const float delta = phi - (phi_before ? load_float(phi_before + i) : 1.0f);
    const float brake = pool.mu * (v_before ? load_float(v_before + i) : 0.0f), v = delta - brake;
    memcpy(at, &phi, sizeof phi);
    memcpy(at + pool.channels, &v, sizeof v);
  }
}

void pool_notes(const ChannelPool& pool, int32_t layer, const int16_t* g, int16_t exponent, const uint8_t* mask, int32_t n) {
  int64_t squares = 0;
  for (int32_t i = 0; i < n; ++i) {
    if (!mask || get_bit(mask, i)) squares += g[i] * g[i];
  }
  pool.norms[layer] += times_power_of_2(static_cast<float>(squares), 2 * exponent);
}

void pool_watches(const ChannelPool& pool, uint8_t* alive, int32_t layer, const int16_t* g, const uint8_t* mask) {
  const Candidate& c = pool.layers[layer];
  const int32_t end = c.positions * c.channels;
  for (int32_t k = 0; k < c.channels; ++k) {
    const int32_t channel = c.first + k;
    if (is_chosen(alive, channel)) continue;
    int32_t at = k;
    while (at < end && (g[at] == 0 || (mask && !get_bit(mask, at)))) at += c.channels;
    if (at < end) alive[channel >> 3] = static_cast<uint8_t>(alive[channel >> 3] | 1 << (channel & 7));
  }
}

void pool_skips_dead(const ChannelPool& pool, const uint8_t* alive, float* scores) {
  for (int32_t i = 0; i < pool.count; ++i) {
    const int32_t first = pool.layers[i].first, end = first + pool.layers[i].channels;
    bool any = false;
    for (int32_t k = first; k < end; ++k) any |= is_chosen(alive, k);
    for (int32_t k = first; any && k < end; ++k) {
      if (!is_chosen(alive, k)) scores[k] = -1.0f;
    }
  }
}

void pool_scores(const ChannelPool& pool, PoolRule rule, uint32_t epoch, const float* v, float* scores) {
  if (rule == PoolRule::kRandom || rule == PoolRule::kTopLayersRandom) random_scores(pool, epoch, scores);
  if (rule == PoolRule::kTopLayersRandom) keep_top_layers(pool, scores);
  for (int32_t i = 0; rule == PoolRule::kFixed && i < pool.channels; ++i) {
    scores[i] = is_chosen(pool.chosen, i) ? 0.0f : -1.0f;
  }
  for (int32_t i = 0; rule == PoolRule::kVelocity && i < pool.count; ++i) {
    const Candidate& c = pool.layers[i];
    const float params = static_cast<float>(c.row + (c.biases != nullptr));
    for (int32_t k = c.first; k < c.first + c.channels; ++k) scores[k] = fabsf(v[k]) / params;
  }
}

void pool_spend(const ChannelPool& pool, const float* scores, uint16_t* order, uint8_t* chosen) {
  Heap heap = {scores, order, 0};
  for (int32_t i = 0; i < pool.channels; ++i) {
    if (scores[i] >= 0.0f) order[heap.n++] = static_cast<uint16_t>(i);
  }
  for (int32_t i = heap.n / 2; i-- > 0;) heap.sink(i);
  memset(chosen, 0, static_cast<size_t>((pool.channels + 7) >> 3));
  int32_t left = pool.size;
  while (heap.n > 0) {
    const uint16_t best = heap.take();
    int32_t layer = pool.count - 1;
    while (pool.layers[layer].first > best) --layer;
    if (pool.layers[layer].cost <= left) {
      left -= pool.layers[layer].cost;
      chosen[best >> 3] = static_cast<uint8_t>(chosen[best >> 3] | 1 << (best & 7));
    } else if (!pool.fill) {
      return;
    }
  }
}

}  // namespace tfodl
