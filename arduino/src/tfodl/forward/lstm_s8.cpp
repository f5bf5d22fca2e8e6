#include "tfodl/detail/hot.h"
#include "tfodl/detail/fixed_point.h"
#include "tfodl/recurrent.h"

#include <string.h>

namespace tfodl {
namespace {

enum { kInput, kForget, kCell, kOutput };

int32_t short_of(int32_t v) { return clamp_s32(v, -32768, 32767); }

// The table at `x` in steps of 2^bits; `highest` beyond its end.
int32_t between(const uint16_t* table, int32_t x, int32_t bits, int32_t highest) {
  const int32_t i = x >> bits;
  if (i >= 255) return highest;
  return (table[i] << bits) + (x & ((1 << bits) - 1)) * (table[i + 1] - table[i]);
}

// Q15 of x in 2^-12.
int32_t sigmoid_q15(const uint16_t* table, int32_t x) {
  const int32_t found = between(table, (x < 0 ? -x : x) * 3, 9, 0x7fff << 10);
  return (x >= 0 ? found + (1 << 9) : (1 << 25) - found + (1 << 9) - 1) >> 10;
}

// Q15 of x in 2^-12 / 3.
int32_t tanh_q15(const uint16_t* table, int32_t x) {
  const int32_t found = between(table, x < 0 ? -x : x, 8, 0xffff << 8) - (1 << 23);
  return ((x >= 0 ? found : -found - 1) + (1 << 7)) >> 8;
}

int32_t dot(const int8_t* __restrict w, const int8_t* __restrict x, int32_t n, int32_t zero) {
  int32_t sum = 0;
  for (int32_t i = 0; i < n; ++i) sum += w[i] * (x[i] - zero);
  return sum;
}

// What gate `which` of unit u reads, in 2^-12.
int32_t gate(const Lstm& p, int32_t which, int32_t u, const int8_t* x, const int8_t* hidden) {
  const LstmGate& g = p.gates[which];
  const int32_t of_x = g.bias[u] + dot(g.input + u * p.depth, x, p.depth, p.in_zero);
  const int32_t of_hidden = dot(g.recurrent + u * p.units, hidden, p.units, p.out_zero);
  return short_of(short_of(requantize(of_x, g.input_multiplier, g.input_shift)) +
                  short_of(requantize(of_hidden, g.recurrent_multiplier, g.recurrent_shift)));
}

// Unit u after one step, whose cell is at `at`.
int32_t unit(const Lstm& p, int32_t u, const int8_t* x, const int8_t* hidden, int8_t* at) {
  int16_t cell;
  memcpy(&cell, at, sizeof cell);
  const int32_t input = sigmoid_q15(p.sigmoid, gate(p, kInput, u, x, hidden));
  const int32_t forget = sigmoid_q15(p.sigmoid, gate(p, kForget, u, x, hidden));
  const int32_t fresh = tanh_q15(p.sigmoid, gate(p, kCell, u, x, hidden) * 3);
  const int32_t output = sigmoid_q15(p.sigmoid, gate(p, kOutput, u, x, hidden));
  const int32_t kept = short_of(requantize(forget * cell, p.keep_multiplier, p.keep_shift));
  int32_t c = short_of(kept + short_of(requantize(input * fresh, p.add_multiplier, p.add_shift)));
  if (p.cell_clip > 0) c = clamp_s32(c, -p.cell_clip, p.cell_clip);
  cell = static_cast<int16_t>(c);
  memcpy(at, &cell, sizeof cell);
  const int32_t argument = rshift(c * p.tanh_multiplier, p.tanh_shift);
  const int32_t y = tanh_q15(p.sigmoid, argument) * output;
  return clamp_s32(requantize(y, p.give_multiplier, p.give_shift) + p.out_zero, -128, 127);
}

}  // namespace

void lstm_s8(const Lstm& params, const int8_t* x, const int8_t* state, int8_t* y) {
  const Lstm p = params;
  int8_t* const cells = y + p.steps * p.units;
  memcpy(cells, state + p.units, static_cast<size_t>(2 * p.units));
  const int8_t* hidden = state;
  for (int32_t t = 0; t < p.steps; ++t, x += p.depth, hidden = y, y += p.units) {
    for (int32_t u = 0; u < p.units; ++u) {
      y[u] = static_cast<int8_t>(unit(p, u, x, hidden, cells + 2 * u));
    }
  }
}

}  // namespace tfodl
