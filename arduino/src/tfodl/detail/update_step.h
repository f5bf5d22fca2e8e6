// One step of one integer parameter: docs/arithmetic.md, "Update". Internal.
#ifndef TFODL_DETAIL_UPDATE_STEP_H
#define TFODL_DETAIL_UPDATE_STEP_H
#include <string.h>

#include "tfodl/detail/fixed_point.h"
#include "tfodl/types.h"

namespace tfodl {

constexpr int32_t kWeightUnits = 1 << 19;  // limits of |U|: a sample moves a weight by at most 8 LSB
constexpr int64_t kBiasUnits = int64_t{1} << 46;
constexpr int64_t kSumLimit = (int64_t{1} << 38) - 1;

inline uint32_t mix(uint32_t x) {
  x ^= x >> 16;
  x *= 0x7feb352dU;
  x ^= x >> 15;
  x *= 0x846ca68bU;
  return x ^ (x >> 16);
}

inline uint32_t random_key(const Sgd& sgd, uint32_t tensor) {
  return mix(mix(sgd.seed + 0x9e3779b9U * sgd.step) ^ (0x85ebca6bU * tensor));
}

inline int8_t clamp_weight(int32_t w) {
#if defined(__ARM_FEATURE_DSP) && !defined(TFODL_PORTABLE)
  __asm("ssat %0, #8, %0" : "+r"(w));
  return static_cast<int8_t>(w < -127 ? -127 : w);
#else
  return static_cast<int8_t>(clamp_s32(w, -127, 127));
#endif
}

// R: the upper half of mix(x), which its last step leaves alone. x = key + i.
inline int32_t random_bits(uint32_t x) {
  x = (x ^ (x >> 16)) * 0x7feb352dU;
  return static_cast<int32_t>(((x ^ (x >> 15)) * 0x846ca68bU) >> 16);
}

// lr * c * 2^(exponent + 16) as mantissa * 2^shift, the mantissa a signed 24-bit integer.
struct Rate {
  int32_t mantissa;
  int32_t shift;
};

inline Rate rate_of(float learning_rate, float scale, int32_t exponent) {
  const float r = learning_rate * scale;
  uint32_t bits;
  memcpy(&bits, &r, sizeof bits);
  const int32_t field = static_cast<int32_t>((bits >> 23) & 0xff);
  uint32_t fraction = bits & 0x7fffff;
  if (field == 0 && fraction == 0) return {0, 0};
  int32_t e = field - 150;
  if (field > 0) {
    fraction |= 0x800000;
  } else {  // subnormal
    const int32_t up = 24 - bit_length(fraction);
    fraction <<= up;
    e = -149 - up;
  }
  const int32_t mantissa = static_cast<int32_t>(fraction);
  return {bits >> 31 ? -mantissa : mantissa, e + exponent + 16};
}

// U for the exact gradient `sum`.
inline int64_t step_units(int64_t sum, Rate rate, int64_t limit) {
  const int64_t product = clamp_s64(sum, -kSumLimit, kSumLimit) * rate.mantissa;
  if (rate.shift <= 0) {
    return clamp_s64(-(product >> (rate.shift < -63 ? 63 : -rate.shift)), -limit, limit);
  }
  const int32_t up = rate.shift < 62 ? rate.shift : 62;
  const int64_t bound = limit >> up;
  if (product > bound) return -limit;
  if (product < -bound) return limit;
  return -(product * (int64_t{1} << up));
}

// Steps of n biases without batch or momentum, as long as no limit is near: each moves by less than 2^29. How many
// were done.
int32_t step_biases(int32_t* bias, int32_t n, const int32_t* sums, const float* scale, float learning_rate,
                    int32_t exponent, uint32_t number);

// -U of a weight within its limits: 20 bits.
inline int32_t saturate_units(int32_t minus_u) {
#if defined(__ARM_FEATURE_DSP) && !defined(TFODL_PORTABLE)
  __asm("ssat %0, #20, %0" : "+r"(minus_u));
  return minus_u;
#else
  return clamp_s32(minus_u, -kWeightUnits, kWeightUnits - 1);
#endif
}

inline int32_t weight_units(int64_t sum, Rate rate) {
  return -saturate_units(static_cast<int32_t>(-step_units(sum, rate, kWeightUnits)));
}

// The same for the weights of one row. Where the shift allows, the mantissa is moved up once a row, so that one
// high multiply does the work of every weight.
class WeightUnits {
 public:
  explicit WeightUnits(Rate rate) : rate_(rate), high_(rate.mantissa), down_(-32 - rate.shift) {
    fast_ = rate.shift <= -25;
    if (fast_ && down_ < 0) high_ *= 1 << -down_, down_ = 0;
    if (down_ > 31) down_ = 31;
  }

  // Where fast() holds: -U before its clamp is (sum * high()) >> 32 >> down().
  bool fast() const { return fast_; }
  int32_t high() const { return high_; }
  int32_t down() const { return down_; }

  int32_t operator()(int64_t sum) const { return weight_units(sum, rate_); }

 private:
  Rate rate_;
  int32_t high_, down_;
  bool fast_;
};

// The loops over weights without batch or momentum are functions of their own, to have all registers. `sum()`
// gives the exact gradient of one weight after the other, `number()` its number in the tensor.
template <class Sum, class Number>
__attribute__((noinline)) void step_stochastic(int8_t* w, const int8_t* end, Sum sum, Number number, int32_t high,
                                               int32_t down) {
  for (; w < end; ++w) {
    const int32_t s = sum();
    const uint32_t x = number();
    if (s == 0) continue;  // a step of 0 units stays 0 under every R
    const int32_t minus_u = saturate_units(static_cast<int32_t>((static_cast<int64_t>(s) * high) >> 32) >> down);
    *w = clamp_weight(*w + ((random_bits(x) - minus_u) >> 16));
  }
}

template <class Sum>
__attribute__((noinline)) void step_accumulated(int8_t* w, const int8_t* end, Sum sum, int16_t* left, int32_t high,
                                                int32_t down) {
  for (; w < end; ++w, ++left) {
    const int32_t minus_u = saturate_units(static_cast<int32_t>((static_cast<int64_t>(sum()) * high) >> 32) >> down);
    const int32_t t = *left + 32768 - minus_u, wanted = *w + (t >> 16);
    *w = clamp_weight(wanted);
    *left = *w == wanted ? static_cast<int16_t>((t & 0xffff) - 32768) : int16_t{0};
  }
}

inline int32_t saturate_s32(int64_t x) { return static_cast<int32_t>(clamp_s64(x, INT32_MIN, INT32_MAX)); }

// Numbers of weights that follow each other, from key() + number of the first on.
struct Run {
  uint32_t next;
  uint32_t operator()() { return next++; }
};

// What one trained tensor's parameters have in common in one step.
class Stepper {
 public:
  Stepper(const Sgd& sgd, const UpdateState& state)
      : batch_(state.batch), momentum_(state.momentum),
        accumulator_(sgd.rounding == Rounding::kAccumulator ? state.accumulator : nullptr),
        mu_(sgd.momentum), apply_(sgd.apply), key_(random_key(sgd, state.tensor)) {}

  // Neither batch nor momentum: then a step of 0 units leaves everything as it is.
  bool plain() const { return !batch_ && !momentum_; }

  uint32_t key() const { return key_; }

  // `n` weights, their state from place `at` on. number() counts from key().
  template <class Sum, class Number>
  void weights(int8_t* w, int32_t n, int32_t at, const WeightUnits& units, Sum sum, Number number) const {
    if (!plain() || !units.fast()) {
      any_weights(w, n, at, units, sum, number);
    } else if (accumulator_) {
      step_accumulated(w, w + n, sum, accumulator_ + at, units.high(), units.down());
    } else {
      step_stochastic(w, w + n, sum, number, units.high(), units.down());
    }
  }

  // The same for sums of any size and every kind of state.
  template <class Sum, class Number>
  void any_weights(int8_t* w, int32_t n, int32_t at, const WeightUnits& units, Sum sum, Number number) const {
    for (int32_t k = 0; k < n; ++k) {
      const int32_t u = units(sum());
      w[k] = weight(w[k], u, at + k, number());
    }
  }

  // The weight after a step of `units`; `at`: its place in the state arrays, `x`: key() plus its number in
  // the tensor.
  int8_t weight(int8_t w, int64_t units, int32_t at, uint32_t x) const {
    if (!whole_batch(units, at)) return w;
    const int32_t u = static_cast<int32_t>(units);
    const int32_t rest = accumulator_ ? accumulator_[at] + 32768 : random_bits(x);
    const int32_t low = (u & 0xffff) + rest, wanted = w + (u >> 16) + (low >> 16);
    const int32_t next = clamp_s32(wanted, -127, 127);
    if (accumulator_) accumulator_[at] = next == wanted ? static_cast<int16_t>((low & 0xffff) - 32768) : int16_t{0};
    return static_cast<int8_t>(next);
  }

  int32_t bias(int32_t b, int64_t units, int32_t at, uint32_t x) const {
    if (!whole_batch(units, at)) return b;
    const int64_t wanted = b + ((units + random_bits(x)) >> 16);
    return static_cast<int32_t>(clamp_s64(wanted, -(1 << 30), 1 << 30));
  }

 private:
  // False while a batch is being accumulated; else units of the step, momentum included.
  bool whole_batch(int64_t& units, int32_t at) const {
    if (batch_) {
      const int32_t sum = saturate_s32(batch_[at] + units);
      batch_[at] = apply_ ? 0 : sum;
      if (!apply_) return false;
      units = sum;
    }
    if (momentum_) {
      units = momentum_[at] = saturate_s32(rshift_s64(int64_t{mu_} * momentum_[at], 15) + units);
    }
    return true;
  }

  int32_t* batch_;
  int32_t* momentum_;
  int16_t* accumulator_;
  int32_t mu_;
  bool apply_;
  uint32_t key_;
};

}  // namespace tfodl

#endif  // TFODL_DETAIL_UPDATE_STEP_H
