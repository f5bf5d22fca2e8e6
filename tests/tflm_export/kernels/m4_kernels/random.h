// Random layers: deterministic, the same on every run.
#pragma once
#include "board.h"
#include "tfodl/types.h"

struct Random {
  uint32_t state;
  uint32_t next() {
    state ^= state << 13;
    state ^= state >> 17;
    return state ^= state << 5;
  }
  int below(int n) { return static_cast<int>(next() % static_cast<uint32_t>(n)); }
  int between(int low, int high) { return low + below(high - low + 1); }
  bool one_in(int n) { return below(n) == 0; }
};

template <typename T>
T* fill(Random& random, T* data, int n, int low, int high) {
  for (int i = 0; i < n; ++i) data[i] = static_cast<T>(random.between(low, high));
  return data;
}

// Buffers that a case may use; guards behind them are checked by `intact`.
struct Buffer {
  uint8_t* data;
  uint32_t bytes;
  static Buffer make(uint32_t bytes) { return {static_cast<uint8_t*>(board_alloc(bytes + 16)), bytes}; }
  void clear(int value, uint32_t used) {
    for (uint32_t i = 0; i < used + 16; ++i) data[i] = static_cast<uint8_t>(i < used ? value : 0xA5);
  }
  bool intact(uint32_t used) const {
    for (uint32_t i = used; i < used + 16; ++i) if (data[i] != 0xA5) return false;
    return true;
  }
};

inline int output_size(int in, int k, int stride, int before, int after) {
  return (in + before + after - k) / stride + 1;
}

inline void random_activation(Random& random, tfodl::Conv& p) {
  p.in_zero = static_cast<int16_t>(random.between(-128, 127));
  p.out_zero = static_cast<int16_t>(random.one_in(2) ? -128 : random.between(-128, 127));
  p.act_min = static_cast<int16_t>(random.one_in(3) ? p.out_zero : -128);
  p.act_max = static_cast<int16_t>(random.one_in(3) ? random.between(p.act_min, 127) : 127);
}

// Multipliers that spread the outputs of `products` terms over int8; now and then an unusual shift.
inline void random_requantization(Random& random, int products, int channels, int32_t* multiplier, int8_t* shift,
                                  int32_t* bias) {
  int bits = 0;
  while ((1 << bits) < products) ++bits;
  const bool odd = random.one_in(8);
  for (int c = 0; c < channels; ++c) {
    multiplier[c] = (1 << 30) + static_cast<int32_t>(random.next() & 0x3FFFFFFF);
    shift[c] = static_cast<int8_t>(odd ? random.between(-24, 1) : -(6 + bits / 2 + random.below(3)));
    bias[c] = random.between(-2000, 2000);
  }
}
