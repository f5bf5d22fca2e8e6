// DEPTHWISE_CONV_2D for the DSP extension: 4 channels of a band of rows are widened and transposed to planes,
// rows_dsp.cpp filters one plane after the other.
#include "tfodl/dsp/hot_dsp.h"
#include "tfodl/dsp/rows_dsp.h"

#if TFODL_DSP
#include "tfodl/forward.h"
#include "tfodl/dsp/requantize_dsp.h"
#include "tfodl/dsp/widen_dsp.h"

// `words` words of a row of 4 planes, `plane` bytes apart, from pixels that are all in the map.
extern "C" __attribute__((naked)) void tfodl_transpose(const int8_t*, int32_t /* in_c */, uint32_t* /* to */,
                                                       int32_t /* words */, uint32_t /* offset */,
                                                       int32_t /* plane */) {
  __asm volatile(
      "push {r4-r10, lr}\n"
      "ldrd r4, r5, [sp, #32]\n"
      "add r6, r5, r5, lsl #1\n"
      "1: ldr r7, [r0]\n"
      "ldr r8, [r0, r1]\n"
      "add r0, r0, r1, lsl #1\n"
      "sxtab16 r9, r4, r7\n"
      "sxtab16 r7, r4, r7, ror #8\n"
      "sxtab16 r10, r4, r8\n"
      "sxtab16 r8, r4, r8, ror #8\n"
      "pkhtb lr, r10, r9, asr #16\n"
      "pkhbt r9, r9, r10, lsl #16\n"
      "pkhtb r10, r8, r7, asr #16\n"
      "pkhbt r7, r7, r8, lsl #16\n"
      "str r7, [r2, r5]\n"
      "str lr, [r2, r5, lsl #1]\n"
      "str r10, [r2, r6]\n"
      "str r9, [r2], #4\n"
      "subs r3, #1\n"
      "bne 1b\n"
      "pop {r4-r10, pc}\n");
}

namespace tfodl {
namespace dsp {
namespace {

constexpr int32_t kChannels = 4;  // transposed together: the bytes of a word

struct Layer {
  const Conv& p;
  ConstRows x;
  int32_t quads;       // of outputs in a row, the last one perhaps with some that do not count
  int32_t row_words;   // of a plane
  int32_t plane_words;
  uint32_t offset;     // less the input's zero point
  uint32_t* planes;    // [kChannels][rows of the band][row_words]
  int32_t sum_rows;
  int32_t* sums;       // [sum_rows][4 quads]
  RowsKernel relu, sum;
};

// Four int8 channels of a pixel less the zero point: {0, 2} and {1, 3}.
struct Pixel {
  uint32_t even, odd;
  Pixel() : even(0), odd(0) {}
  Pixel(const int8_t* at, uint32_t offset) {
    const uint32_t bytes = load_word(at);
    even = widen_even(bytes, offset), odd = widen_odd(bytes, offset);
  }
};

// One word of each of the 4 planes from two pixels.
inline void put_word(const Pixel& left, const Pixel& right, uint32_t* to, int32_t plane) {
  to[0] = low_halves(left.even, right.even);
  to[plane] = low_halves(left.odd, right.odd);
  to[2 * plane] = high_halves(left.even, right.even);
  to[3 * plane] = high_halves(left.odd, right.odd);
}

// One row of the planes of 4 channels from the pixels of a row of the map. Words of padding alone are left as
// they are.
void fill_row(const Layer& layer, const int8_t* pixels, uint32_t* to) {
  const Conv& p = layer.p;
  const int32_t pad = p.pad_left, in_c = p.in_c, first = (pad + 1) >> 1, last = (p.in_w + pad) >> 1;
  const int32_t words = layer.row_words, end = last < words ? last : words;
  if (pad & 1) put_word(Pixel(), Pixel(pixels, layer.offset), to + first - 1, layer.plane_words);
  if (first < end) {
    tfodl_transpose(pixels + (2 * first - pad) * in_c, in_c, to + first, end - first, layer.offset,
                    4 * layer.plane_words);
  }
  if (((p.in_w + pad) & 1) && last >= first && last < words) {
    put_word(Pixel(pixels + (p.in_w - 1) * in_c, layer.offset), Pixel(), to + last, layer.plane_words);
  }
}

// Clears what no fill_row writes: rows outside of first..last, and the words before and behind the map.
void clear_padding(const Layer& layer, int32_t rows, int32_t first, int32_t last) {
  const Conv& p = layer.p;
  const int32_t words = layer.row_words, before = (p.pad_left + 1) >> 1, inside = (p.in_w + p.pad_left) >> 1;
  for (int32_t i = 0; i < kChannels; ++i) {
    uint32_t* to = layer.planes + i * layer.plane_words;
    for (int32_t r = 0; r < rows; ++r, to += words) {
      const bool in_map = r >= first && r < last && inside > before;
      fill_words(to, in_map ? before : words, 0);
      if (in_map && inside < words) fill_words(to + inside, words - inside, 0);
    }
  }
}

struct Band {
  int32_t first, rows;  // of outputs
  int8_t* y;            // the first of them
  uint8_t* mask;
  bool shift_in;        // see ChannelOutput
};

// One channel of a band by way of its sums: any shift, clamp and mask.
void store_sums(const Layer& layer, RowsBlock& block, const Band& band, int32_t c) {
  const Conv& p = layer.p;
  const int32_t out_row = p.out_w * p.out_c, most = layer.sum_rows;
  block.y_skip = 0;
  for (int32_t r = 0, n; r < band.rows; r += n) {
    n = band.rows - r < most ? band.rows - r : most;
    block.y = layer.sums;
    block.rows = n;
    layer.sum(&block);
    const ChannelOutput output = {p, c, band.y + r * out_row, band.mask, (band.first + r) * out_row,
                                  band.shift_in};
    output.store<1>({layer.sums, p.out_w, n, 4 * layer.quads});
    block.x += n * p.stride_h * layer.row_words;
  }
}

// Four outputs are stored at once. Where the row ends within a quad, the surplus falls on the rows below, which
// are stored later; rows without as many outputs below them are put down elsewhere first.
int32_t rows_to_store(const Layer& layer, int32_t rows) {
  const int32_t out_w = layer.p.out_w, surplus = 4 * layer.quads - out_w, below = (surplus + out_w - 1) / out_w;
  return rows > below ? rows - below : 0;
}

void store_elsewhere(const Layer& layer, RowsBlock& block, const Band& band, int32_t done, int32_t c) {
  const Conv& p = layer.p;
  int8_t* rows = reinterpret_cast<int8_t*>(layer.sums);  // at most 3, each a fourth of a row of sums
  block.y = rows;
  block.stride = 1;
  block.y_skip = 0;
  block.rows = band.rows - done;
  block.x += done * p.stride_h * layer.row_words;
  layer.relu(&block);
  int8_t* to = band.y + done * p.out_w * p.out_c + c;
  for (int32_t r = 0; r < block.rows; ++r, rows += 4 * layer.quads) {
    for (int32_t i = 0; i < p.out_w; ++i, to += p.out_c) *to = rows[i];
  }
}

// What all channels of a band have in common.
RowsBlock block_of(const Layer& layer, const uint32_t* weights) {
  const Conv& p = layer.p;
  const int32_t row_bytes = 4 * layer.row_words, quad_bytes = 8 * p.stride_w;
  return {layer.quads, nullptr, 0, 0, 0, p.out_c, p.k_h * row_bytes - quad_bytes, weights, 0, layer.quads,
          p.stride_h * row_bytes - layer.quads * quad_bytes, (p.out_w - 4 * layer.quads) * p.out_c, 0, nullptr,
          row_bytes, weights + kernel_words(p.k_w, p.stride_w)};
}

void filter_channel(const Layer& layer, const RowsBlock& common, const Band& band, const uint32_t* plane, int32_t c,
                    uint32_t* weights) {
  const Conv& p = layer.p;
  const bool relu = !band.mask && relu_channel(p, c, p.k_h * p.k_w);
  const int32_t factor = relu ? 1 << kReluBits : 1;
  fill_kernel(p.weights + c, p.in_c, p.k_w, p.stride_w, factor, weights);
  RowsBlock block = common;
  block.bias = p.bias[c] * factor;
  block.x = plane;
  if (!relu) {
    store_sums(layer, block, band, c);
    return;
  }
  block.y = band.y + c;
  block.multiplier = p.multiplier[c];
  block.right_shift = relu_shift(p, c);
  block.offset = relu_offset(p, block.right_shift);
  block.rows = rows_to_store(layer, band.rows);
  const int32_t done = block.rows;
  if (done) layer.relu(&block);
  if (done < band.rows) store_elsewhere(layer, block, band, done, c);
}

void filter_band(const Layer& layer, Band band) {
  const Conv& p = layer.p;
  const int32_t top = band.first * p.stride_h - p.pad_top, rows = (band.rows - 1) * p.stride_h + p.k_h;
  const int32_t first = top < 0 ? -top : 0, inside = p.in_h - top, last = inside < rows ? inside : rows;
  uint32_t weights[49];
  const RowsBlock common = block_of(layer, weights);
  clear_padding(layer, rows, first, last);
  const int32_t row = p.in_w * p.in_c;
  for (int32_t left = p.in_c; left > 0; left -= kChannels) {
    const int32_t c = left > kChannels ? left - kChannels : 0;
    int32_t slot = first < last ? (top + first) % layer.x.rows : 0;
    const int8_t* pixels = layer.x.data + slot * row + c;
    for (int32_t r = first; r < last; ++r, pixels += row) {
      fill_row(layer, pixels, layer.planes + r * layer.row_words);
      if (++slot == layer.x.rows) slot = 0, pixels -= layer.x.rows * row;
    }
    for (int32_t i = left - c - 1; i >= 0; --i) {
      if (band.mask && (c + i) % 8 == 7) band.shift_in = masks_in_bytes(p, c + i, p.k_h * p.k_w);
      filter_channel(layer, common, band, layer.planes + i * layer.plane_words, c + i, weights);
    }
  }
  clamp_outputs(p, band.y, band.rows * p.out_w * p.out_c);
}

struct Kernels {
  RowsKernel relu[2], sum[2];  // by stride
};
#define TFODL_KERNELS(k) \
  {{tfodl_rows_relu_##k##_1, tfodl_rows_relu_##k##_2}, {tfodl_rows_sums_##k##_1, tfodl_rows_sums_##k##_2}}
constexpr Kernels kKernels[3] = {TFODL_KERNELS(3), TFODL_KERNELS(5), TFODL_KERNELS(7)};

bool takes(const Conv& p) {
  return p.k_h == p.k_w && (p.k_w == 3 || p.k_w == 5 || p.k_w == 7) && p.stride_w <= 2 && p.in_c >= kChannels;
}

}  // namespace

bool depthwise_rows_s8(const Conv& p, ConstRows x, Rows y, int16_t y0, int16_t y1, uint8_t* mask, void* scratch) {
  if (!takes(p)) return false;
  const DepthwiseBand size = depthwise_band(p);
  const int32_t plane_words = size.in_rows * size.row_words;
  uint32_t* planes = static_cast<uint32_t*>(scratch);
  const Kernels& kernels = kKernels[(p.k_w - 3) >> 1];
  const Layer layer = {p, x, size.quads, size.row_words, plane_words, both_halves(-p.in_zero), planes,
                       size.sum_rows, reinterpret_cast<int32_t*>(planes + kChannels * plane_words),
                       kernels.relu[p.stride_w - 1], kernels.sum[p.stride_w - 1]};
  for (int32_t oy = y0, rows; oy < y1; oy += rows) {
    const int32_t together = rows_in_one_piece(y, oy, y1);
    rows = together < size.out_rows ? together : size.out_rows;
    filter_band(layer, {oy, rows, y.data + (oy % y.rows) * p.out_w * p.out_c, mask, false});
  }
  return true;
}

}  // namespace dsp
}  // namespace tfodl
#endif
