// One step of one integer parameter: docs/arithmetic.md, "Update". Internal.
#pragma once
#include <string.h>

#include "fixed_point.h"
#include "types.h"

namespace tfodl {

constexpr int64_t kWeightUnits = (1 << 24) - 1;      // limits of |U|
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

inline int32_t random_bits(uint32_t key, int32_t i) {
  return static_cast<int32_t>(mix(key + static_cast<uint32_t>(i)) >> 16);
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

// The same for a weight whose sum fits int32. Where the shift allows, the mantissa is moved up once a row so that
// one high multiply does the work of every weight.
class WeightUnits {
 public:
  explicit WeightUnits(Rate rate) : rate_(rate), high_(rate.mantissa), down_(-32 - rate.shift) {
    fast_ = rate.shift <= -25;
    if (fast_ && down_ < 0) high_ *= 1 << -down_, down_ = 0;
    if (down_ > 31) down_ = 31;
  }
  int32_t operator()(int32_t sum) const {
    if (!fast_) return static_cast<int32_t>(step_units(sum, rate_, kWeightUnits));
    const int32_t u = static_cast<int32_t>((static_cast<int64_t>(sum) * high_) >> 32) >> down_;
    return clamp_s32(-u, -static_cast<int32_t>(kWeightUnits), static_cast<int32_t>(kWeightUnits));
  }
  int32_t operator()(int64_t sum) const { return static_cast<int32_t>(step_units(sum, rate_, kWeightUnits)); }

 private:
  Rate rate_;
  int32_t high_, down_;
  bool fast_;
};

inline int32_t saturate_s32(int64_t x) { return static_cast<int32_t>(clamp_s64(x, INT32_MIN, INT32_MAX)); }

// What one trained tensor's parameters have in common in one step.
class Stepper {
 public:
  Stepper(const Sgd& sgd, const UpdateState& state)
      : batch_(state.batch), momentum_(state.momentum),
        accumulator_(sgd.rounding == Rounding::kAccumulator ? state.accumulator : nullptr),
        mu_(sgd.momentum), apply_(sgd.apply), key_(random_key(sgd, state.tensor)) {}

  // Does a step of 0 units leave everything as it is?
  bool zero_is_idle() const { return !batch_ && !momentum_; }

  // The weight after a step of `units`; `at`: its place in the state arrays, `i`: its number in the tensor.
  int8_t weight(int8_t w, int64_t units, int32_t at, int32_t i) const {
    if (!whole_batch(units, at)) return w;
    const int32_t u = static_cast<int32_t>(units);
    const int32_t rest = accumulator_ ? accumulator_[at] + 32768 : random_bits(key_, i);
    const int32_t low = (u & 0xffff) + rest, wanted = w + (u >> 16) + (low >> 16);
    const int32_t next = clamp_s32(wanted, -127, 127);
    if (accumulator_) accumulator_[at] = next == wanted ? static_cast<int16_t>((low & 0xffff) - 32768) : int16_t{0};
    return static_cast<int8_t>(next);
  }

  int32_t bias(int32_t b, int64_t units, int32_t at, int32_t i) const {
    if (!whole_batch(units, at)) return b;
    const int64_t wanted = b + ((units + random_bits(key_, i)) >> 16);
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
