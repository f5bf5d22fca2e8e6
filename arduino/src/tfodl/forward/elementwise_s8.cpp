#include "tfodl/detail/hot.h"
#include <string.h>

#include "tfodl/detail/fixed_point.h"
#include "tfodl/dsp/dsp.h"
#include "tfodl/forward.h"

namespace tfodl {
namespace {

// TensorFlow Lite moves both inputs of ADD and SUB up by 20 bits; high_multiply wants one more.
constexpr int32_t kUp = 21;

// Right shift by `e`, ties away from zero, with what does not change in a loop worked out before it.
struct Divide {
  int32_t e, half, sign_bits;
  explicit Divide(int32_t power) : e(power), half(power > 0 ? 1 << (power - 1) : 0), sign_bits(power > 0 ? 31 : 0) {}
  // |x| < 2^30
  int32_t operator()(int32_t x) const { return (x + half + (sign_bits ? x >> 31 : 0)) >> e; }
};

// Any scales, any clamp, with a mask or without. sign: 1 for ADD, -1 for SUB.
template <int kSign>
void add_or_sub(const Add& add, const int8_t* a, const int8_t* b, int32_t first, int32_t n, int8_t* y,
                uint8_t* mask) {
  const Add p = add;
  const Clip clip = {p.out_zero, p.act_min, p.act_max};
  const Divide divide_a(-p.a_shift), divide_b(-p.b_shift), divide_out(-p.out_shift);
  for (int32_t i = 0; i < n; ++i) {
    const int32_t scaled_a = high_multiply((a[i] - p.a_zero) * (1 << kUp), p.a_multiplier);
    const int32_t scaled_b = high_multiply((b[i] - p.b_zero) * (1 << kUp), p.b_multiplier);
    const int32_t sum = divide_a(scaled_a) + kSign * divide_b(scaled_b);
    y[i] = clip(sum, divide_out(high_multiply(2 * sum, p.out_multiplier)), mask, first + i);
  }
}

// The input of the larger scale has the factor 1/2: moving it up is all.
bool is_half(int32_t multiplier, int32_t shift) { return multiplier == 1 << 30 && shift == 0; }

bool is_fast(const Add& p) {
  const bool one_half = is_half(p.a_multiplier, p.a_shift) != is_half(p.b_multiplier, p.b_shift);
  return one_half && p.out_shift < 0 && p.out_shift > -24 && p.act_min == -128 && p.act_max == 127;
}

// ADD where `a` has the factor 1/2 and nothing but int8 clamps. With masks: no ReLU, and n a multiple of 8.
template <bool kMask>
__attribute__((noinline)) void add_to_half(const int8_t* a, int32_t a_zero, const int8_t* b, int32_t b_zero,
                                           const Add& p, int32_t multiplier, int32_t shift, int32_t n, int8_t* y,
                                           uint8_t* mask) {
  const int32_t start = b_zero * (1 << kUp), e = -shift, half = 1 << (e - 1), base = -a_zero * (1 << (kUp - 2));
  const int32_t out = p.out_multiplier, out_e = -p.out_shift;
  const int32_t offset = (1 << (out_e - 1)) + p.out_zero * (1 << out_e);
  const int8_t* const end = a + n;
  if (TFODL_DSP && !kMask && n >= 4) {
    const dsp::HalfAdd block = {-start, multiplier, half, e, 2 * base, out, offset, out_e, a + (n & ~3)};
    dsp::tfodl_add_fours(a, b, y, &block);
    a += n & ~3, b += n & ~3, y += n & ~3;
  }
  uint32_t bits = 1u << 31;  // a marker in front of eight bits
  for (; a < end; ++a, ++b, ++y) {
    const int32_t scaled = high_multiply(*b * (1 << kUp) - start, multiplier);
    const int32_t sum = *a * (1 << (kUp - 2)) + ((scaled + half + (scaled >> 31)) >> e) + base;
    const int32_t high = high_multiply(2 * sum, out), v = (high + offset + (high >> 31)) >> out_e;
    *y = static_cast<int8_t>(saturate_s8(v));
    if (!kMask) continue;
    bits = push_bit(bits, static_cast<uint32_t>(v + 128), 255);
    if (bits & (1 << 23)) *mask++ = static_cast<uint8_t>(bits >> 24), bits = 1u << 31;
  }
}

void add(const Add& p, const int8_t* a, const int8_t* b, int32_t first, int32_t n, int8_t* y, uint8_t* mask) {
  const bool aligned = first % 8 == 0 && n % 8 == 0 && p.out_zero != p.act_min;
  if (!is_fast(p) || (mask && !aligned)) return add_or_sub<1>(p, a, b, first, n, y, mask);
  const auto loop = mask ? add_to_half<true> : add_to_half<false>;
  uint8_t* bytes = mask ? mask + (first >> 3) : nullptr;
  if (is_half(p.a_multiplier, p.a_shift)) {
    loop(a, p.a_zero, b, p.b_zero, p, p.b_multiplier, p.b_shift, n, y, bytes);
  } else {
    loop(b, p.b_zero, a, p.a_zero, p, p.a_multiplier, p.a_shift, n, y, bytes);
  }
}

void mul(const Requantize& requant, const int8_t* a, const int8_t* b, int32_t first, int32_t n, int8_t* y,
         uint8_t* mask) {
  const Requantize p = requant;
  const Clip clip = {p.out_zero, p.act_min, p.act_max};
  for (int32_t i = 0; i < n; ++i) {
    const int32_t product = (a[i] - p.in_zero) * (b[i] - p.b_zero);
    y[i] = clip(product, requantize(product, p.multiplier, p.shift), mask, first + i);
  }
}

// The next n elements of a broadcast operand: a stretch of it, or one value, `same`.
struct Run {
  const int8_t* data;
  int32_t n;
};

constexpr int32_t kSame = 64;

Run run_from(const int8_t* x, const Spread& s, int32_t i, int8_t* same) {
  const int32_t at = i / s.repeat % s.size;
  if (s.repeat == 1) return {x + at, s.size - at};
  const int32_t left = s.repeat - i % s.repeat, n = left < kSame ? left : kSame;
  memset(same, x[at], static_cast<size_t>(n));
  return {same, n};
}

// `op(a, b, first, n)` for stretches of elements that lie one behind the other in both operands.
template <class Op>
void by_runs(const int8_t* a, const Spread& a_spread, const int8_t* b, const Spread& b_spread, int32_t n, Op op) {
  int8_t same_a[kSame], same_b[kSame];
  for (int32_t i = 0; i < n;) {
    const Run run_a = run_from(a, a_spread, i, same_a), run_b = run_from(b, b_spread, i, same_b);
    const int32_t both = run_a.n < run_b.n ? run_a.n : run_b.n, run = both < n - i ? both : n - i;
    op(run_a.data, run_b.data, i, run);
    i += run;
  }
}

}  // namespace

void add_s8(const Add& p, const int8_t* a, const int8_t* b, int32_t n, int8_t* y, uint8_t* mask) {
  add(p, a, b, 0, n, y, mask);
}

void add_range_s8(const Add& p, const int8_t* a, const int8_t* b, int32_t first, int32_t n, int8_t* y,
                  uint8_t* mask) {
  add(p, a, b, first, n, y, mask);
}

void sub_s8(const Add& p, const int8_t* a, const int8_t* b, int32_t n, int8_t* y, uint8_t* mask) {
  add_or_sub<-1>(p, a, b, 0, n, y, mask);
}

void mul_s8(const Requantize& p, const int8_t* a, const int8_t* b, int32_t n, int8_t* y, uint8_t* mask) {
  mul(p, a, b, 0, n, y, mask);
}

void add_broadcast_s8(const Add& p, const int8_t* a, const Spread& a_spread, const int8_t* b,
                      const Spread& b_spread, int32_t n, int8_t* y, uint8_t* mask) {
  by_runs(a, a_spread, b, b_spread, n, [&](const int8_t* one, const int8_t* two, int32_t first, int32_t run) {
    add(p, one, two, first, run, y + first, mask);
  });
}

void sub_broadcast_s8(const Add& p, const int8_t* a, const Spread& a_spread, const int8_t* b,
                      const Spread& b_spread, int32_t n, int8_t* y, uint8_t* mask) {
  by_runs(a, a_spread, b, b_spread, n, [&](const int8_t* one, const int8_t* two, int32_t first, int32_t run) {
    add_or_sub<-1>(p, one, two, first, run, y + first, mask);
  });
}

void mul_broadcast_s8(const Requantize& p, const int8_t* a, const Spread& a_spread, const int8_t* b,
                      const Spread& b_spread, int32_t n, int8_t* y, uint8_t* mask) {
  by_runs(a, a_spread, b, b_spread, n, [&](const int8_t* one, const int8_t* two, int32_t first, int32_t run) {
    mul(p, one, two, first, run, y + first, mask);
  });
}

void minimum_s8(const int8_t* a, const Spread& a_spread, const int8_t* b, const Spread& b_spread, int32_t n,
                int8_t* y) {
  by_runs(a, a_spread, b, b_spread, n, [=](const int8_t* one, const int8_t* two, int32_t first, int32_t run) {
    for (int32_t i = 0; i < run; ++i) y[first + i] = one[i] < two[i] ? one[i] : two[i];
  });
}

void maximum_s8(const int8_t* a, const Spread& a_spread, const int8_t* b, const Spread& b_spread, int32_t n,
                int8_t* y) {
  by_runs(a, a_spread, b, b_spread, n, [=](const int8_t* one, const int8_t* two, int32_t first, int32_t run) {
    for (int32_t i = 0; i < run; ++i) y[first + i] = one[i] > two[i] ? one[i] : two[i];
  });
}

void prelu_s8(const Prelu& prelu, const int8_t* x, const int8_t* alpha, const Spread& alpha_spread, int32_t n,
              int8_t* y, uint8_t* mask) {
  const Prelu p = prelu;
  const Clip clip = {p.out_zero, -128, 127};
  by_runs(x, {1, n}, alpha, alpha_spread, n, [=](const int8_t* one, const int8_t* two, int32_t first, int32_t run) {
    for (int32_t i = 0; i < run; ++i) {
      const int32_t a = one[i] - p.in_zero, below = a * (two[i] - p.alpha_zero);
      y[first + i] = a >= 0 ? clip(a, requantize(a, p.multiplier, p.shift), mask, first + i)
                            : clip(below, requantize(below, p.alpha_multiplier, p.alpha_shift), mask, first + i);
    }
  });
}

void repeat_s8(const int8_t* x, const Spread& spread, int32_t n, int8_t* y) {
  const Spread s = spread;
  for (int32_t at = 0, i = 0; i < n; at = at + 1 < s.size ? at + 1 : 0) {
    for (int32_t r = 0; r < s.repeat && i < n; ++r) y[i++] = x[at];
  }
}

void requantize_s8(const Requantize& requant, const int8_t* x, int32_t n, int8_t* y, uint8_t* mask) {
  const Requantize p = requant;
  const Clip clip = {p.out_zero, p.act_min, p.act_max};
  for (int32_t i = 0; i < n; ++i) {
    const int32_t a = x[i] - p.in_zero;
    y[i] = clip(a, requantize(a, p.multiplier, p.shift), mask, i);
  }
}

void lookup_s8(const int8_t* table, const int8_t* x, int32_t n, int8_t* y) {
  for (int32_t i = 0; i < n; ++i) y[i] = table[x[i] + 128];
}

}  // namespace tfodl
