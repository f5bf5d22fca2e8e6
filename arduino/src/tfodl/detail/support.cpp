#include "tfodl/detail/no_fma.h"
#include "tfodl/support.h"

#include <string.h>

#include "tfodl/detail/fixed_point.h"

namespace tfodl {
namespace {

// The next `bits` bits from position `at` on, as a signed number.
int32_t take_bits(const uint8_t* from, int32_t bits, int32_t& at) {
  uint32_t value = 0;
  for (int32_t i = 32 - bits; i < 32; ++i, ++at) value |= static_cast<uint32_t>((from[at >> 3] >> (at & 7)) & 1) << i;
  return static_cast<int32_t>(value) >> (32 - bits);
}

}  // namespace

void unpack_biases(const PackedBias* biases, int32_t count) {
  for (const PackedBias* p = biases; p < biases + count; ++p) {
    const int32_t lowest = -(INT32_MAX >> (32 - p->bits)) - 1;
    for (int32_t i = 0, at = 0; i < p->n; ++i) {
      const int32_t value = take_bits(p->packed, p->bits, at);
      p->bias[i] = value == lowest ? take_bits(p->packed, 32, at) : value;
    }
  }
}

int32_t argmax_s8(const int8_t* values, int32_t n) {
  int32_t best = 0;
  for (int32_t i = 1; i < n; ++i) best = values[i] > values[best] ? i : best;
  return best;
}

int32_t count_right_s8(const int8_t* q, int32_t zero, const int8_t* t, int32_t n) {
  int32_t right = 0;
  for (int32_t i = 0; i < n; ++i) right += (q[i] > zero) == (t[i] != 0);
  return right;
}

float cross_entropy(uint32_t p_q30) {
  if (p_q30 == 0) p_q30 = 1;
  int32_t bits = 0;
  while ((p_q30 >> bits) > 1) ++bits;
  const float mantissa = static_cast<float>(p_q30) / static_cast<float>(uint32_t{1} << bits);  // [1, 2)
  const float t = (mantissa - 1.0f) / (mantissa + 1.0f), t2 = t * t;
  const float log_mantissa = 2.0f * t * (1.0f + t2 * (1.0f / 3.0f + t2 * (0.2f + t2 * (1.0f / 7.0f))));
  return static_cast<float>(30 - bits) * 0.69314718f - log_mantissa;
}

float running_loss(float before, float loss) {
  return before < 0.0f || !(before == before) ? loss : before + 0.02f * (loss - before);
}

float saturated_share(const Parameter* parameters, int32_t n) {
  int32_t saturated = 0, weights = 0;
  for (const Parameter* p = parameters; p < parameters + n; ++p) {
    if (p->is_bias) continue;
    const int8_t* w = static_cast<const int8_t*>(p->data);
    for (const int8_t* const end = w + p->nbytes; w < end; ++w) saturated += *w == 127 || *w <= -127;
    weights += static_cast<int32_t>(p->nbytes);
  }
  return weights == 0 ? 0.0f : static_cast<float>(saturated) / static_cast<float>(weights);
}

void update_rates(const Conv& p, float factor, bool inverse, float* rates) {
  for (int32_t co = 0; co < p.out_c; ++co) {
    const uint32_t power_bits = static_cast<uint32_t>(127 + p.shift[co] - 31) << 23;
    float power;
    memcpy(&power, &power_bits, sizeof power);
    const float ratio = static_cast<float>(p.multiplier[co]) * power;
    rates[co] = p.multiplier[co] == 0 ? 0.0f : inverse ? factor / ratio : factor * ratio;
  }
}

void grad_factors(const Conv& p, int32_t multiplier, int32_t shift, int16_t* m) {
  for (int32_t co = 0; co < p.out_c; ++co) {
    const int32_t down = 30 - shift - p.shift[co];
    const int32_t factor = down > 31 ? 0 : rshift(high_multiply(p.multiplier[co], multiplier), down);
    m[co] = static_cast<int16_t>(factor < 32767 ? factor : 32767);
  }
}

void copy_rows_s8(const int8_t* rows, const int16_t* channels, int32_t n, int32_t row_bytes, int8_t* out) {
  for (int32_t i = 0; i < n; ++i) {
    memcpy(out + i * row_bytes, rows + channels[i] * row_bytes, static_cast<size_t>(row_bytes));
  }
}

}  // namespace tfodl
