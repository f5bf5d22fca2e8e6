#include "tfodl/judge.h"

#include <string.h>

#include "tfodl/detail/crc32.h"

namespace tfodl {

bool is_held_out(const int8_t* latent, int32_t latent_bytes, uint32_t one_in) {
  return crc32(0, latent, static_cast<uint32_t>(latent_bytes)) % one_in == 0;
}

uint32_t label_probability(const uint32_t* table, const int8_t* q, int32_t n, int32_t label) {
  const int32_t top = q[argmax_s8(q, n)];
  uint64_t total = 0;
  for (int32_t i = 0; i < n; ++i) total += table[top - q[i]];
  return static_cast<uint32_t>(((static_cast<uint64_t>(table[top - q[label]]) << 30) + total / 2) / total);
}

void copy_parameters(const Parameter* parameters, int32_t n, uint8_t* good) {
  for (int32_t i = 0; i < n; ++i) {
    memcpy(good, parameters[i].data, parameters[i].nbytes);
    good += parameters[i].nbytes;
  }
}

void swap_parameters(const Parameter* parameters, int32_t n, uint8_t* good) {
  for (int32_t i = 0; i < n; ++i) {
    uint8_t* data = static_cast<uint8_t*>(parameters[i].data);
    for (uint32_t k = 0; k < parameters[i].nbytes; ++k) {
      const uint8_t now = data[k];
      data[k] = good[k];
      good[k] = now;
    }
    good += parameters[i].nbytes;
  }
}

}  // namespace tfodl
