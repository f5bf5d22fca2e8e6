// How a test hands over the arguments of one kernel call: every value as int64, every pointer as a length
// in bytes and that many bytes. Buffers get memory of exactly their size, so that the sanitizers see every
// access outside, and all of them travel back after the call.
#pragma once
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <tuple>
#include <type_traits>
#include <utility>
#include <vector>

#include "TFODL.h"

#if defined(__SANITIZE_ADDRESS__)
constexpr size_t kGuard = 0;
#else
constexpr size_t kGuard = 32;
#endif
constexpr uint8_t kGuardByte = 0xC3;

struct Buffer {
  uint8_t* data;
  int64_t bytes;
};

// The call being read, its buffers in the order of arrival, and the values that kernels change.
struct Call {
  std::vector<Buffer> buffers;
  std::vector<tfodl::GradScale*> scales;
};

inline void receive(void* data, size_t bytes) {
  if (fread(data, 1, bytes, stdin) != bytes) exit(0);
}

inline void send(const void* data, size_t bytes) { fwrite(data, 1, bytes, stdout); }

inline int64_t receive_int() {
  int64_t value;
  receive(&value, sizeof value);
  return value;
}

inline void send_int(int64_t value) { send(&value, sizeof value); }

inline float receive_float() {
  const int32_t bits = static_cast<int32_t>(receive_int());
  float value;
  memcpy(&value, &bits, sizeof value);
  return value;
}

// -1: null; -2 - i: the same as buffer i of this call.
inline void* receive_pointer(Call& call) {
  const int64_t bytes = receive_int();
  if (bytes == -1) return nullptr;
  if (bytes < -1) return call.buffers[static_cast<size_t>(-2 - bytes)].data;
  const size_t all = static_cast<size_t>(bytes) + 2 * kGuard;
  uint8_t* data = static_cast<uint8_t*>(malloc(all));
  if (kGuard) memset(data, kGuardByte, all);
  data += kGuard;
  receive(data, static_cast<size_t>(bytes));
  call.buffers.push_back({data, bytes});
  return data;
}

inline void check_guards(const Buffer& b) {
  for (size_t i = 0; i < kGuard; ++i) {
    if (b.data[b.bytes + static_cast<int64_t>(i)] != kGuardByte || *(b.data - 1 - i) != kGuardByte) {
      fprintf(stderr, "heap-buffer-overflow: guard bytes overwritten\n");
      exit(1);
    }
  }
}

inline void send_back(Call& call) {
  for (const Buffer& b : call.buffers) check_guards(b);
  for (const tfodl::GradScale* s : call.scales) {
    send_int(s->exponent);
    send_int(s->shift);
  }
  for (const Buffer& b : call.buffers) {
    send(b.data, static_cast<size_t>(b.bytes));
    free(b.data - kGuard);
  }
}
