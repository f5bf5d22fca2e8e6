// Random convolutions in buffers of their own, for the programs of this folder.
#pragma once
#include "random.h"
#include "tfodl/kernels.h"

using namespace tfodl;

static Random random_source;
static const uint32_t kLarge = 96 * 1024;
static Buffer weights_buffer, trained_buffer;
static int32_t bias[512], multiplier[512];
static int8_t shift[512];
static int16_t slot[512], columns[512];

static void fail(const char* what, int index, const Conv& p) {
  board_print(what);
  board_print_number(" differs in case", static_cast<uint32_t>(index));
  const int values[] = {p.in_h, p.in_w, p.in_c, p.out_h, p.out_w, p.out_c, p.k_h, p.k_w, p.stride_h, p.stride_w,
                        p.pad_top, p.pad_left, p.slot != nullptr, p.columns != nullptr, p.act_min + 128,
                        p.act_max + 128};
  for (int value : values) board_print_number(" ", static_cast<uint32_t>(value));
  board_exit(1);
}

static Conv random_layer(bool depthwise, int k, int in_c, int out_c) {
  Random& r = random_source;
  Conv p = {};
  p.k_h = p.k_w = static_cast<uint8_t>(k);
  if (k > 1 && r.one_in(6)) p.k_w = static_cast<uint8_t>(r.between(1, k));
  p.stride_h = p.stride_w = static_cast<uint8_t>(k > 1 && r.one_in(2) ? 2 : 1);
  if (r.one_in(8)) p.stride_w = static_cast<uint8_t>(r.between(1, 3));
  p.in_h = static_cast<int16_t>(r.between(1, r.one_in(8) ? 20 : 11));
  p.in_w = static_cast<int16_t>(r.one_in(8) ? r.between(20, 80) : r.between(1, 13));
  p.pad_top = static_cast<int16_t>(r.below(p.k_h));
  p.pad_left = static_cast<int16_t>(r.below(p.k_w));
  int bottom = r.below(p.k_h), right = r.below(p.k_w);
  if (p.in_h + p.pad_top + bottom < p.k_h) bottom = p.k_h - p.in_h - p.pad_top;
  if (p.in_w + p.pad_left + right < p.k_w) right = p.k_w - p.in_w - p.pad_left;
  p.in_c = static_cast<int16_t>(in_c);
  p.out_c = static_cast<int16_t>(depthwise ? in_c : out_c);
  p.out_h = static_cast<int16_t>(output_size(p.in_h, p.k_h, p.stride_h, p.pad_top, bottom));
  p.out_w = static_cast<int16_t>(output_size(p.in_w, p.k_w, p.stride_w, p.pad_left, right));
  random_activation(r, p);
  const int depth = p.k_h * p.k_w * (depthwise ? 1 : in_c);
  random_requantization(r, depth, p.out_c, multiplier, shift, bias);
  p.weights = fill(r, reinterpret_cast<int8_t*>(weights_buffer.data), depth * p.out_c, -127, 127);
  p.bias = bias;
  p.multiplier = multiplier;
  p.shift = shift;
  return p;
}

static void train_rows(Conv& p) {
  const int depth = p.k_h * p.k_w * p.in_c;
  p.trained = fill(random_source, reinterpret_cast<int8_t*>(trained_buffer.data), depth * p.out_c, -127, 127);
  int n = 0;
  for (int co = 0; co < p.out_c; ++co) slot[co] = static_cast<int16_t>(random_source.one_in(2) ? n++ : -1);
  p.slot = slot;
}

static void train_columns(Conv& p) {
  const int taps = p.k_h * p.k_w;
  int n = 0;
  for (int ci = 0; ci < p.in_c; ++ci) if (random_source.one_in(2)) columns[n++] = static_cast<int16_t>(ci);
  p.columns = columns;
  p.n_columns = static_cast<int16_t>(n);
  p.trained = fill(random_source, reinterpret_cast<int8_t*>(trained_buffer.data), taps * n * p.out_c, -127, 127);
}


static void make_layer_buffers() {
  weights_buffer = Buffer::make(kLarge);
  trained_buffer = Buffer::make(kLarge);
}
