// Log-mel features of sound, frame by frame: tflm_export/features/log_mel.py is the definition. float32, no libm.
#ifndef TFODL_FEATURES_LOG_MEL_H
#define TFODL_FEATURES_LOG_MEL_H
#include <stdint.h>

namespace tfodl {

// fft: 256, 512 or 1024 points, a power of two. hann [window / 2 + 1]: h[n] / (32768 sum h), the same from behind.
// twiddle [fft]: cos and -sin of 2 pi k / fft, k < fft / 2. Bins first[s] <= k < first[s + 1], s = 0 .. bands, rise by
// rise[k - first[0]] in band s and fall by what is left to 1 in band s - 1.
struct LogMel {
  int32_t window, fft, bands;
  float floor;
  const float* hann;
  const float* twiddle;
  const uint16_t* first;  // [bands + 2]
  const float* rise;
};

// Floats of scratch that a frame takes.
constexpr int32_t log_mel_scratch(int32_t fft) { return fft; }

// samples [window], 16 bits -> features [bands]. scratch: log_mel_scratch(fft) floats.
void log_mel_frame(const LogMel& p, const int16_t* samples, float* scratch, float* features);

// ln x of a normal x > 0, within 2e-7 of 1 + |ln x|.
float natural_log(float x);

}  // namespace tfodl

#endif  // TFODL_FEATURES_LOG_MEL_H
