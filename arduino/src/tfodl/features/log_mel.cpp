#include "tfodl/float32/hot_f32.h"
#include <string.h>

#include "tfodl/features/log_mel.h"

namespace tfodl {
namespace {

// Sample n under the window, 0 behind its end.
inline float windowed(const LogMel& p, const int16_t* samples, int32_t n) {
  if (n >= p.window) return 0.0f;
  return static_cast<float>(samples[n]) * p.hann[2 * n <= p.window ? n : p.window - n];
}

// Pairs of samples as complex numbers [fft / 2], each at its place with reversed bits.
void load(const LogMel& p, const int16_t* samples, float* z) {
  const int32_t half = p.fft / 2;
  for (int32_t i = 0, reversed = 0; i < half; ++i) {
    z[2 * reversed] = windowed(p, samples, 2 * i);
    z[2 * reversed + 1] = windowed(p, samples, 2 * i + 1);
    int32_t bit = half / 2;
    for (; reversed & bit; bit >>= 1) reversed -= bit;
    reversed += bit;
  }
}

// Radix 2 in place, decimation in time, of `count` complex numbers; twiddle is of 2 count points.
void transform(const float* twiddle, int32_t count, float* z) {
  for (int32_t i = 0; i < 2 * count; i += 4) {  // pairs: the factor is 1
    const float re = z[i + 2], im = z[i + 3];
    z[i + 2] = z[i] - re;
    z[i + 3] = z[i + 1] - im;
    z[i] += re;
    z[i + 1] += im;
  }
  for (int32_t size = 2; size < count; size *= 2) {
    const int32_t step = 2 * (count / size);
    for (int32_t j = 0; j < size; ++j) {
      const float c = twiddle[j * step], s = twiddle[j * step + 1];
      for (int32_t i = j; i < count; i += 2 * size) {
        float* a = z + 2 * i;
        float* b = a + 2 * size;
        const float re = b[0] * c - b[1] * s, im = b[0] * s + b[1] * c;
        b[0] = a[0] - re;
        b[1] = a[1] - im;
        a[0] += re;
        a[1] += im;
      }
    }
  }
}

// |X[k]|^2 of the 2 half real samples whose pairs were transformed to z [half], at z[2 k], k < half.
void power(const float* twiddle, int32_t half, float* z) {
  const float mean = z[0] + z[1];
  z[0] = mean * mean;
  for (int32_t k = 1; 2 * k <= half; ++k) {
    float* a = z + 2 * k;
    float* b = z + 2 * (half - k);
    const float even_re = 0.5f * (a[0] + b[0]), even_im = 0.5f * (a[1] - b[1]);
    const float odd_re = 0.5f * (a[1] + b[1]), odd_im = 0.5f * (b[0] - a[0]);
    const float c = twiddle[2 * k], s = twiddle[2 * k + 1];
    const float re = odd_re * c - odd_im * s, im = odd_re * s + odd_im * c;
    const float re_a = even_re + re, im_a = even_im + im, re_b = even_re - re, im_b = even_im - im;
    a[0] = re_a * re_a + im_a * im_a;
    b[0] = re_b * re_b + im_b * im_b;
  }
}

// Sums of power under the triangles.
void bands(const LogMel& p, const float* z, float* energy) {
  for (int32_t m = 0; m < p.bands; ++m) energy[m] = 0.0f;
  const float* rise = p.rise;
  for (int32_t s = 0; s <= p.bands; ++s) {
    float up = 0.0f, down = 0.0f;
    for (int32_t k = p.first[s]; k < p.first[s + 1]; ++k, ++rise) {
      up += *rise * z[2 * k];
      down += (1.0f - *rise) * z[2 * k];
    }
    if (s < p.bands) energy[s] += up;
    if (s > 0) energy[s - 1] += down;
  }
}

}  // namespace

float natural_log(float x) {
  uint32_t bits;
  memcpy(&bits, &x, sizeof bits);
  const uint32_t above = bits - 0x3f3504f3u;  // sqrt(1/2): mantissa in sqrt(1/2) .. sqrt(2)
  const int32_t exponent = static_cast<int32_t>(above) >> 23;
  bits = (above & 0x007fffffu) + 0x3f3504f3u;
  memcpy(&x, &bits, sizeof x);
  const float t = (x - 1.0f) / (x + 1.0f), u = t * t;
  const float series = 2.0f + u * (0.66666667f + u * (0.4f + u * (0.28571429f + u * 0.22222222f)));
  return static_cast<float>(exponent) * 0.69314718f + t * series;
}

void log_mel_frame(const LogMel& p, const int16_t* samples, float* scratch, float* features) {
  load(p, samples, scratch);
  transform(p.twiddle, p.fft / 2, scratch);
  power(p.twiddle, p.fft / 2, scratch);
  bands(p, scratch, features);
  for (int32_t m = 0; m < p.bands; ++m) {
    features[m] = natural_log(features[m] > p.floor ? features[m] : p.floor);
  }
}

}  // namespace tfodl
