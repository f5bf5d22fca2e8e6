#include "tfodl/new_classes.h"

#include "tfodl/support.h"

namespace tfodl {
namespace {

// The largest whole number whose square is at most n.
uint64_t square_root(uint64_t n) {
  uint64_t root = 0;
  for (uint64_t bit = uint64_t{1} << 31; bit != 0; bit >>= 1) {
    if ((root + bit) * (root + bit) <= n) root += bit;
  }
  return root;
}

// n times how far feature i is from the mean of n samples.
int64_t away(const SpareHead& head, const int8_t* x, const int32_t* sums, int32_t n, int32_t i) {
  const int64_t value = x[i] - head.zero;
  return n > 0 ? n * value - sums[i] : value;
}

}  // namespace

int32_t classes_in_use(const SpareHead& head) {
  int32_t n = head.classes - head.spare;
  while (n < head.classes && head.bias[n] != head.unused) ++n;
  return n;
}

void add_features(const SpareHead& head, const int8_t* x, int32_t* sums) {
  for (int32_t i = 0; i < head.features; ++i) sums[i] += x[i] - head.zero;
}

void imprint_class(const SpareHead& head, int32_t label, const int8_t* x, const int8_t* logits, const int32_t* sums,
                   int32_t n) {
  uint64_t norm = 0, sisters = 0;
  for (int32_t i = 0; i < head.features; ++i) {
    const int64_t c = away(head, x, sums, n, i);
    norm += static_cast<uint64_t>(c * c);
  }
  for (int32_t i = 0; i < label * head.features; ++i) {
    sisters += static_cast<uint64_t>(head.weights[i] * head.weights[i]);
  }
  sisters /= static_cast<uint64_t>(label);
  const int64_t ratio = norm ? static_cast<int64_t>(square_root((sisters << 32) / norm)) : 0;
  int8_t* row = head.weights + label * head.features;
  for (int32_t i = 0; i < head.features; ++i) {
    const int64_t w = (away(head, x, sums, n, i) * ratio + 32768) >> 16;
    row[i] = static_cast<int8_t>(w > 127 ? 127 : w < -127 ? -127 : w);
  }
  const int64_t best = logits[argmax_s8(logits, label)] - head.logit_zero;
  int64_t b = (best * head.logit) >> 8;
  for (int32_t i = 0; i < head.features; ++i) b -= row[i] * (x[i] - head.zero);
  const int64_t limit = int64_t{1} << 30;
  head.bias[label] = static_cast<int32_t>(b > limit ? limit : b < -limit ? -limit : b);
}

}  // namespace tfodl
