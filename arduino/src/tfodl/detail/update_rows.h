// How pairs of trained rows go over a tile of columns, for the two files that have ways in. Internal.
#ifndef TFODL_DETAIL_UPDATE_ROWS_H
#define TFODL_DETAIL_UPDATE_ROWS_H
#include <string.h>

#include "tfodl/dsp/dsp.h"
#include "tfodl/detail/inner.h"
#include "tfodl/update.h"
#include "tfodl/detail/update_step.h"

#ifndef TFODL_QUADS_AT_ONCE
#define TFODL_QUADS_AT_ONCE update_quads
#endif

namespace tfodl {
namespace {

// What the update of one layer is about. Null rows: 0, 1, ...; null columns: all input channels.
struct Layer {
  const Conv& p;
  const int8_t* x;
  int32_t channels;  // of x
  const int16_t* rows;
  const int16_t* columns;
  const int16_t* g_y;
  int32_t e_y;
  const uint8_t* mask;
  const Sgd& sgd;
  const float* scale;
  int8_t* weights;

  int32_t positions() const { return p.out_h * p.out_w; }
  int32_t taps() const { return p.k_h * p.k_w; }
  int32_t quads() const { return (channels + 3) >> 2; }  // of a tap
  int32_t channel(int32_t row) const { return rows ? rows[row] : row; }
};

// One row's exact gradients out of outer_sums_s16.
template <class T>
struct EverySecond {
  const T* sums;
  T operator()() {
    const T sum = *sums;
    sums += 2;
    return sum;
  }
};

// Numbers of trained input channels.
struct Columns {
  uint32_t first;
  const int16_t* columns;
  uint32_t operator()() { return first + static_cast<uint32_t>(*columns++); }
};

// Gradient of output channel `co` at n <= 256 positions from `first`, as one row of a pair.
void gather_row(const Layer& layer, int32_t co, int32_t first, int32_t n, int32_t groups, int16_t* out) {
  const int32_t out_c = layer.p.out_c;
  const int16_t* g = layer.g_y;
  const uint8_t* mask = layer.mask;
  int32_t at = first * out_c + co;
  for (int32_t i = 0; i < 4 * groups; ++i, at += out_c) {
    const bool pass = i < n && (!mask || get_bit(mask, at));
    out[(i >> 2) * 8 + kPlaceInGroup[i & 3]] = pass ? g[at] : int16_t{0};
  }
}

// Buffers in the scratch; what they hold: inner.h.
struct Tile {
  int32_t groups, quads;  // quads of channels
  int64_t* totals;        // [8 quads], where the map has more than one chunk
  int32_t* sums;          // [8 quads]
  int16_t* grads;         // one pair of rows
  int16_t* columns;       // 2 quads pairs of rows

  Tile(const Layer& layer, void* scratch)
      : groups(update_groups(layer.p)), quads(TFODL_QUADS_AT_ONCE(layer.p, layer.channels)),
        totals(static_cast<int64_t*>(scratch)),
        sums(reinterpret_cast<int32_t*>(totals + (layer.positions() > kChunk ? 8 * quads : 0))),
        grads(reinterpret_cast<int16_t*>(sums + 8 * quads)), columns(grads + 8 * groups) {}
};

// Quads first .. first + n of the layer: quad q is channels 4 (q % quads) of tap q / quads.
struct Part {
  int32_t first, n;
};

void fill_columns(const Layer& layer, const Tile& tile, Part part, int32_t begin, int32_t positions) {
  for (int32_t i = 0; i < part.n; ++i) {
    const int32_t tap = (part.first + i) / layer.quads(), c = 4 * ((part.first + i) % layer.quads());
    widen_columns_s8(layer.p, layer.x, layer.channels, tap, c, begin, positions, tile.groups,
                     tile.columns + 16 * tile.groups * i);
  }
}

void sum_rows(const Layer& layer, const Tile& tile, Part part, int32_t row, int32_t rows, int32_t begin,
              int32_t positions) {
  const int32_t co = layer.channel(row), other = layer.channel(row + rows - 1), out_c = layer.p.out_c;
  if (TFODL_DSP && co % 2 == 0 && other == co + 1 && out_c % 8 == 0) {
    dsp::gather_pair(layer.g_y, layer.mask, out_c, co, begin, positions, tile.groups, tile.grads);
  } else {
    gather_row(layer, co, begin, positions, tile.groups, tile.grads);
    gather_row(layer, other, begin, positions, tile.groups, tile.grads + 4);
  }
  outer_sums_s16(tile.grads, tile.columns, tile.groups, 2 * part.n, tile.sums);
}

// The same on maps of more than one chunk: wider sums, and the columns are filled again for every chunk.
void sum_chunks(const Layer& layer, const Tile& tile, Part part, int32_t row, int32_t rows) {
  const int32_t positions = layer.positions(), n = 8 * part.n;
  memset(tile.totals, 0, sizeof(int64_t) * static_cast<size_t>(n));
  for (int32_t begin = 0; begin < positions; begin += kChunk) {
    const int32_t count = positions - begin < kChunk ? positions - begin : kChunk;
    fill_columns(layer, tile, part, begin, count);
    sum_rows(layer, tile, part, row, rows, begin, count);
    for (int32_t i = 0; i < n; ++i) tile.totals[i] += tile.sums[i];
  }
}

template <class Number>
void update_run(const Stepper& stepper, int8_t* w, int32_t n, int32_t at, const WeightUnits& units,
                const int32_t* sums, Number number) {
  stepper.weights(w + at, n, at, units, EverySecond<int32_t>{sums}, number);
}

template <class Number>
void update_run(const Stepper& stepper, int8_t* w, int32_t n, int32_t at, const WeightUnits& units,
                const int64_t* sums, Number number) {
  stepper.any_weights(w + at, n, at, units, EverySecond<int64_t>{sums}, number);
}

// Steps the weights of one row that the part covers, one tap after the other.
template <class T>
void step_row(const Layer& layer, const Stepper& stepper, Part part, int32_t row, const T* sums) {
  const int32_t co = layer.channel(row), taps = layer.taps(), quads = layer.quads(), in_c = layer.p.in_c;
  const WeightUnits units(rate_of(layer.sgd.learning_rate, layer.scale[co], layer.e_y));
  const int32_t end = part.first + part.n;
  for (int32_t q = part.first, until; q < end; sums += 8 * (until - q), q = until) {
    const int32_t tap = q / quads, c = 4 * (q % quads), next_tap = (tap + 1) * quads;
    until = next_tap < end ? next_tap : end;
    const int32_t reach = c + 4 * (until - q), n = (reach < layer.channels ? reach : layer.channels) - c;
    const int32_t at = (row * taps + tap) * layer.channels + c;
    const uint32_t number = stepper.key() + static_cast<uint32_t>((co * taps + tap) * in_c);
    if (layer.columns) {
      update_run(stepper, layer.weights, n, at, units, sums, Columns{number, layer.columns + c});
    } else {
      update_run(stepper, layer.weights, n, at, units, sums, Run{number + static_cast<uint32_t>(c)});
    }
  }
}

void update_rows(const Layer& layer, const Stepper& stepper, int32_t n, void* scratch) {
  const Tile tile(layer, scratch);
  const int32_t all = layer.taps() * layer.quads(), positions = layer.positions();
  for (int32_t q = 0; q < all; q += tile.quads) {
    const Part part = {q, all - q < tile.quads ? all - q : tile.quads};
    if (positions <= kChunk) fill_columns(layer, tile, part, 0, positions);
    for (int32_t row = 0; row < n; row += 2) {
      const int32_t rows = row + 1 < n ? 2 : 1;
      if (positions <= kChunk) {
        sum_rows(layer, tile, part, row, rows, 0, positions);
        for (int32_t r = 0; r < rows; ++r) step_row(layer, stepper, part, row + r, tile.sums + r);
      } else {
        sum_chunks(layer, tile, part, row, rows);
        for (int32_t r = 0; r < rows; ++r) step_row(layer, stepper, part, row + r, tile.totals + r);
      }
    }
  }
}

}  // namespace
}  // namespace tfodl

#endif  // TFODL_DETAIL_UPDATE_ROWS_H
