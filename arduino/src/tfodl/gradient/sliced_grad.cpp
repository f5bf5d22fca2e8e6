#include "tfodl/detail/cold.h"
#include "tfodl/detail/shift_rule.h"
#include "tfodl/detail/sliced_pass.h"

namespace tfodl {
namespace {

// The shift of a gradient that is made slice by slice: whether it fits shows when all are made.
struct Shift {
  GradScale& scale;
  int32_t value;
  bool settled;

  explicit Shift(GradScale& s) : scale(s), value(s.shift), settled(false) {}
  // False: make the gradient again, with what is in `value` now.
  bool settle(uint32_t bits, int32_t e_acc) {
    if (!settled) settled = try_shift(scale, e_acc, [=](int32_t) { return bits; });
    if (!settled) value = scale.shift;
    return settled;
  }
};

// The sums of the first `half` of n elements, and those of the others, which lie where the gradient comes.
struct Halves {
  const int32_t* first;
  const uint8_t* second;
  int32_t half;
  int32_t operator()(int32_t i) const {
    if (i < half) return first[i];
    int32_t sum;
    memcpy(&sum, second + 4 * (i - half), sizeof sum);
    return sum;
  }
};

// From the last one on: the gradients of the second half take the place of sums that were read.
void narrow_halves(GradScale& s, int32_t e_acc, int32_t n, Halves sums, int16_t* g_x) {
  uint32_t bits = 0;
  for (int32_t i = 0; i < n; ++i) bits |= magnitude(sums(i));
  apply_shift_rule(s, e_acc, [=](int32_t shift) {
    if (!shift_fits(bit_length(bits), shift)) return bits;
    for (int32_t i = n - 1; i >= 0; --i) {
      const int16_t g = saturate_s16(rshift(sums(i), shift));
      memcpy(g_x + i, &g, sizeof g);
    }
    return bits;
  });
}

}  // namespace

void sliced_input_grad_s16(const Bottleneck& b, int16_t* g_y, int16_t e_y, int16_t* g_x,
                           const SlicedMemory& memory) {
  const Conv& x = *b.expand.conv;
  const int32_t pixels = x.in_h * x.in_w, middle = (pixels + 1) / 2, wide = x.out_c;
  int32_t *first = memory.sums, *second = reinterpret_cast<int32_t*>(g_x);
  SlicedPass pass(b, g_y, memory);
  pass.prepare();
  Shift outer(*b.project.scale), inner(*b.depthwise.scale);
  for (bool fits = false; !fits;) {
    uint32_t outer_bits = 0, inner_bits = 0;
    memset(first, 0, sizeof *first * static_cast<size_t>(middle * x.in_c));
    memset(second, 0, sizeof *second * static_cast<size_t>((pixels - middle) * x.in_c));
    for (int32_t c = 0; c < wide; c += b.channels) {
      pass.begin(c);
      outer_bits |= pass.project(outer.value);
      if (memory.bias_sums) pass.sum_outer(memory.bias_sums + c);
      inner_bits |= pass.filter(inner.value);
      if (memory.bias_sums) pass.sum_inner(memory.bias_sums + wide + c);
      pass.add(0, middle, first);
      pass.add(middle, pixels, second);
    }
    fits = outer.settle(outer_bits, e_y + b.project.exponent) &&
           inner.settle(inner_bits, b.project.scale->exponent + b.depthwise.exponent);
  }
  const Halves sums = {first, reinterpret_cast<const uint8_t*>(second), middle * x.in_c};
  narrow_halves(*b.expand.scale, b.depthwise.scale->exponent + b.expand.exponent, pixels * x.in_c, sums, g_x);
}

}  // namespace tfodl
