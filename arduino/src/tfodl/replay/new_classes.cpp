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

int64_t floor_divided(int64_t a, int64_t b) { return a / b - (a % b < 0); }

int64_t mean_of(const Margins& m) { return floor_divided(m.total, m.n); }

int64_t low_of(const Margins& m) {
  const int64_t mean = mean_of(m), variance = static_cast<int64_t>(m.squares / static_cast<uint64_t>(m.n)) - mean * mean;
  return variance > 0 ? mean - static_cast<int64_t>(square_root(3 * static_cast<uint64_t>(variance))) : mean;
}

}  // namespace

int32_t classes_in_use(const SpareHead& head) {
  int32_t n = head.classes - head.spare;
  while (n < head.classes && head.bias[n] != head.unused) ++n;
  return n;
}

void add_features(const SpareHead& head, const int8_t* x, int32_t times, int32_t* sums) {
  for (int32_t i = 0; i < head.features; ++i) sums[i] += times * (x[i] - head.zero);
}

void imprint_row(const SpareHead& head, int32_t label, const int32_t* sums, int32_t pairs, int32_t in_use) {
  uint64_t norm = 0, length = 0;
  for (int32_t i = 0; i < head.features; ++i) {
    const int64_t c = floor_divided(int64_t{sums[i]} * 256, pairs);
    norm += static_cast<uint64_t>(c * c);
  }
  int32_t sisters = 0;
  for (int32_t row = 0; row < in_use; ++row) {
    if (row == label) continue;
    const int8_t* w = head.weights + row * head.features;
    for (int32_t i = 0; i < head.features; ++i) length += static_cast<uint64_t>(w[i] * w[i]);
    ++sisters;
  }
  length /= static_cast<uint64_t>(sisters);
  const int64_t ratio = norm ? static_cast<int64_t>(square_root((length << 36) / norm)) : 0;
  int8_t* row = head.weights + label * head.features;
  for (int32_t i = 0; i < head.features; ++i) {
    const int64_t w = (floor_divided(int64_t{sums[i]} * 256, pairs) * ratio + (1 << 17)) >> 18;
    row[i] = static_cast<int8_t>(w > 127 ? 127 : w < -127 ? -127 : w);
  }
}

int32_t best_other(const SpareHead& head, int32_t label, const int8_t* x, const int8_t* logits, int32_t in_use,
                   int64_t* margin) {
  int32_t best = label == 0 ? 1 : 0;
  for (int32_t c = best + 1; c < in_use; ++c) {
    if (c != label && logits[c] > logits[best]) best = c;
  }
  *margin = (int64_t{logits[best] - head.logit_zero} * head.logit) >> 8;
  const int8_t* row = head.weights + label * head.features;
  for (int32_t i = 0; i < head.features; ++i) *margin -= row[i] * (x[i] - head.zero);
  return best;
}

void add_margin(Margins& margins, int64_t margin) {
  margin >>= 6;
  ++margins.n;
  margins.total += margin;
  margins.squares += static_cast<uint64_t>(margin * margin);
}

void imprint_bias(const SpareHead& head, int32_t label, const Margins& safe, const Margins& level) {
  const int64_t b = (safe.n > 1 ? low_of(safe) : mean_of(level)) * 64, limit = int64_t{1} << 30;
  head.bias[label] = static_cast<int32_t>(b > limit ? limit : b < -limit ? -limit : b);
}

}  // namespace tfodl
