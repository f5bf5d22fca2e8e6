// A sensor's value as a model's int8 input.
#ifndef TFODL_FEATURES_VALUE_H
#define TFODL_FEATURES_VALUE_H
#include <stdint.h>

namespace tfodl {

// round((value - mean) gain) + zero, halves to even, saturated; NaN gives -128. The same bits everywhere: `steps` is
// volatile so that no compiler fuses the product with the sum that rounds it.
inline int8_t quantize_value(float value, float mean, float gain, int32_t zero) {
  volatile float steps = (value - mean) * gain;
  float s = steps;
  s = s > -512.0f ? s : -512.0f;
  s = s < 512.0f ? s : 512.0f;
  s = (s + 12582912.0f) - 12582912.0f;  // 1.5 * 2^23: to the nearest whole number
  const int32_t q = static_cast<int32_t>(s) + zero;
  return static_cast<int8_t>(q < -128 ? -128 : q > 127 ? 127 : q);
}

}  // namespace tfodl

#endif  // TFODL_FEATURES_VALUE_H
