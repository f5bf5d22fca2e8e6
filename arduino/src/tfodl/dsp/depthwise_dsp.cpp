// DEPTHWISE_CONV_2D for the DSP extension: 4 channels of a band of rows are widened and transposed to planes,
// which rows_dsp.cpp filters.
#include "tfodl/detail/cold.h"
#include "tfodl/dsp/rows_dsp.h"

#if TFODL_DSP
#include "tfodl/forward.h"
#include "tfodl/dsp/requantize_dsp.h"
#include "tfodl/dsp/widen_dsp.h"

// Read by the assembly: keep order and size.
struct PixelRows {
  int32_t in_c;
  uint32_t* to;          // the first of 4 planes
  uint32_t offset;       // less the zero point
  int32_t plane;         // bytes
  const int8_t* pixels;  // of channel 0
  int32_t words;         // of a row, both of whose pixels are in the map
  int32_t left, right;   // is there a word before them whose second pixel is, one behind them whose first is?
  int32_t to_skip;       // bytes from the end of these words to the next row's
  int32_t row_bytes;     // of the map
  int32_t rows;
};

// Four channels of rows of the map as rows of 4 planes: two pixels at a time are widened and the halves of both put
// together. r0 pixels, r1 in_c, r2 to, r3 words, r4 offset, r5 plane, r6 3 planes, r11 row of pixels, r12 block.
#define TFODL_WIDEN(from, even, odd)                \
  "sxtab16 " even ", r4, " from "\n"                \
  "sxtab16 " odd ", r4, " from ", ror #8\n"
#define TFODL_TO_PLANES(first, second, third, fourth) \
  "str " second ", [r2, r5]\n"                      \
  "str " third ", [r2, r5, lsl #1]\n"               \
  "str " fourth ", [r2, r6]\n"                      \
  "str " first ", [r2], #4\n"

#define TFODL_TWO_PIXELS \
  "ldr r7, [r0]\n" \
  "ldr r8, [r0, r1]\n" \
  "add r0, r0, r1, lsl #1\n" \
  TFODL_WIDEN("r7", "r9", "r7") \
  TFODL_WIDEN("r8", "r10", "r8") \
  "pkhtb lr, r10, r9, asr #16\n" \
  "pkhbt r9, r9, r10, lsl #16\n" \
  "pkhtb r10, r8, r7, asr #16\n" \
  "pkhbt r7, r7, r8, lsl #16\n" \
  TFODL_TO_PLANES("r9", "r7", "lr", "r10")

extern "C" __attribute__((naked)) void tfodl_widen_rows(const PixelRows*, int32_t /* channel */) {
  __asm volatile(
      "push {r4-r11, lr}\n"
      "mov r12, r0\n"
      "mov lr, r1\n"
      "ldmia r12!, {r1, r2, r4, r5, r11}\n"
      "add r11, lr\n"
      "add r6, r5, r5, lsl #1\n"
      "ldr lr, [r12, #20]\n"
      "1: push {lr}\n"
      "mov r0, r11\n"
      "ldrd r3, r7, [r12]\n"
      "cbz r7, 2f\n"
      "ldr r7, [r0]\n"
      "add r0, r1\n"
      TFODL_WIDEN("r7", "r8", "r9")
      "lsl r7, r8, #16\n"
      "lsl r10, r9, #16\n"
      "bfc r8, #0, #16\n"
      "bfc r9, #0, #16\n"
      TFODL_TO_PLANES("r7", "r10", "r8", "r9")
      "2: cbz r3, 4f\n"
      "lsrs r3, #1\n"
      "itt cs\n"
      "addcs r3, #1\n"
      "bcs.n 6f\n"
      "3:\n" TFODL_TWO_PIXELS
      "6:\n" TFODL_TWO_PIXELS
      "subs r3, #1\n"
      "bne 3b\n"
      "4: ldr r3, [r12, #8]\n"
      "cbz r3, 5f\n"
      "ldr r7, [r0]\n"
      TFODL_WIDEN("r7", "r8", "r9")
      "uxth r7, r8\n"
      "uxth r10, r9\n"
      "lsr r8, #16\n"
      "lsr r9, #16\n"
      TFODL_TO_PLANES("r7", "r10", "r8", "r9")
      "5: ldrd r7, r8, [r12, #12]\n"
      "add r2, r7\n"
      "add r11, r8\n"
      "pop {lr}\n"
      "subs lr, #1\n"
      "bne 1b\n"
      "pop {r4-r11, pc}\n");
}

namespace tfodl {
namespace dsp {
namespace {

struct Layer {
  const Conv& p;
  ConstRows x;
  DepthwiseBand size;
  RowsShape shape;
  uint32_t* planes;   // [kRowsChannels][rows of the band][row_words]
  int32_t* sums;      // [sum_rows][4 quads]
  uint32_t* kernels;  // [kRowsChannels][kernel_words]
};

// Rows of outputs, and what lies under them: `rows` rows of the plane, of which first .. last - 1 are in the map.
struct Band {
  int32_t y0, n;
  int8_t* y;
  uint8_t* mask;
  int32_t top, rows, first, last;
};

Band band_at(const Conv& p, int32_t y0, int32_t n, int8_t* y, uint8_t* mask) {
  const int32_t top = y0 * p.stride_h - p.pad_top, rows = (n - 1) * p.stride_h + p.k_h, inside = p.in_h - top;
  return {y0, n, y, mask, top, rows, top < 0 ? -top : 0, inside < rows ? inside : rows};
}

// Words of a row of a plane: first .. end - 1 come from two pixels each.
struct Words {
  int32_t first, end;
  bool left, right;
};

Words words_of(const Conv& p, int32_t row_words) {
  const int32_t first = (p.pad_left + 1) >> 1, last = (p.in_w + p.pad_left) >> 1;
  const int32_t end = last < row_words ? last : row_words;
  return {first, end > first ? end : first, (p.pad_left & 1) != 0,
          ((p.in_w + p.pad_left) & 1) && last >= first && last < row_words};
}

// The rows of a band that are in the map: in a ring, first those up to its end.
struct BandPixels {
  PixelRows parts[2];
  int32_t n;
};

__attribute__((noinline)) void place_pixels(const Layer& layer, const Band& band, BandPixels& pixels) {
  const Conv& p = layer.p;
  const int32_t row_words = layer.shape.row_words, row_bytes = p.in_w * p.in_c, ring = layer.x.rows;
  const Words words = words_of(p, row_words);
  const int32_t inner = words.end - words.first, to_skip = 4 * (row_words - inner - words.left - words.right);
  pixels.n = 0;
  int32_t slot = band.first < band.last ? (band.top + band.first) % ring : 0;
  for (int32_t r = band.first, rows; r < band.last; r += rows, slot = 0) {
    rows = band.last - r < ring - slot ? band.last - r : ring - slot;
    pixels.parts[pixels.n++] = {p.in_c, layer.planes + r * row_words + (p.pad_left >> 1), both_halves(-p.in_zero),
                                4 * layer.shape.plane_words, layer.x.data + slot * row_bytes, inner, words.left,
                                words.right, to_skip, row_bytes, rows};
  }
}

// Clears what no pixel is written to: rows outside of the map, and the words before and behind it.
void clear_padding(const Layer& layer, const Band& band) {
  const int32_t row_words = layer.shape.row_words;
  const Words words = words_of(layer.p, row_words);
  const int32_t before = words.first - words.left, behind = words.end + words.right;
  for (int32_t i = 0; i < kRowsChannels; ++i) {
    uint32_t* to = layer.planes + i * layer.shape.plane_words;
    for (int32_t r = 0; r < band.rows; ++r, to += row_words) {
      const bool in_map = r >= band.first && r < band.last;
      fill_words(to, in_map ? before : row_words, 0);
      if (in_map) fill_words(to + behind, row_words - behind, 0);
    }
  }
}

// Channels c .. c + n - 1 of a band by way of their sums: any shift, clamp and mask.
__attribute__((noinline)) void store_sums(const Layer& layer, const Band& band, int32_t c, int32_t n, bool shift_in) {
  const Conv& p = layer.p;
  const int32_t out_row = p.out_w * p.out_c, most = layer.size.sum_rows;
  RowsBlock block = rows_block(layer.shape, p.k_h, RowsEnd::kSums, 0, 0);
  for (int32_t i = n - 1; i >= 0; --i) {
    RowsFactors factors = {p.bias[c + i], 0, 0, 0, 0, 0};
    for (int32_t r = 0, rows; r < band.n; r += rows) {
      rows = band.n - r < most ? band.n - r : most;
      block.x = layer.planes + i * layer.shape.plane_words + r * p.stride_h * layer.shape.row_words;
      block.weights = layer.kernels + i * layer.shape.kernel_words;
      block.factors = &factors;
      block.rows = rows;
      block.y = layer.sums;
      block.channels = 1;
      tfodl_rows(&block);
      const ChannelOutput output = {p, c + i, band.y + r * out_row, band.mask, (band.y0 + r) * out_row, shift_in};
      output.store<1>({layer.sums, p.out_w, rows, 4 * layer.size.quads});
    }
  }
}

// Channels c .. c + n - 1 of a band, each from its plane, by the short requantisation.
void filter_relu(const Layer& layer, const Band& band, RowsBlock& block, RowsFactors* factors, int32_t c, int32_t n) {
  const Conv& p = layer.p;
  const int32_t last = n - 1;
  block.x = layer.planes + last * layer.shape.plane_words;
  block.weights = layer.kernels + last * layer.shape.kernel_words;
  block.factors = factors + last;
  block.rows = band.n;
  block.mask = band.mask ? band.mask + ((band.y0 * p.out_w * p.out_c + c) >> 3) : nullptr;
  block.y = band.y + c + last;
  block.channels = n;
  tfodl_rows(&block);
}

__attribute__((noinline)) void filter_band(const Layer& layer, const Band& band) {
  const Conv& p = layer.p;
  const RowsEnd end = band.mask ? RowsEnd::kMasked : RowsEnd::kRelu;
  RowsBlock block = rows_block(layer.shape, p.k_h, end, p.out_c, p.out_w * p.out_c);
  RowsFactors factors[2 * kRowsChannels];  // of the 8 channels of a byte of masks
  BandPixels pixels;
  place_pixels(layer, band, pixels);
  bool relu = false, shift_in = false;
  clear_padding(layer, band);
  for (int32_t left = p.in_c; left > 0; left -= kRowsChannels) {
    const int32_t c = left > kRowsChannels ? left - kRowsChannels : 0, n = left - c;
    const bool byte_begins = p.out_c % 8 == 0 && left % 8 == 0;
    if (!band.mask) {
      relu = relu_factors(p, c, n, false, factors);
    } else if (byte_begins) {
      relu = relu_factors(p, left - 8, 8, true, factors);
      shift_in = masks_in_bytes(p, left - 1, p.k_h * p.k_w);
    }
    for (int32_t i = 0; i < pixels.n; ++i) tfodl_widen_rows(&pixels.parts[i], c);
    fill_kernels(p.weights + c, p.in_c, p.k_w * p.in_c, p.k_h, layer.shape, relu ? kReluBits : 0, layer.kernels);
    if (relu) {
      filter_relu(layer, band, block, factors + (band.mask && byte_begins ? kRowsChannels : 0), c, n);
    } else {
      store_sums(layer, band, c, n, shift_in);
    }
  }
  clamp_outputs(p, band.y, band.n * p.out_w * p.out_c);
}

__attribute__((noinline)) void filter_rows(const Layer& layer, Rows y, int32_t y0, int32_t y1, uint8_t* mask) {
  const Conv& p = layer.p;
  for (int32_t oy = y0, n; oy < y1; oy += n) {
    const int32_t together = rows_in_one_piece(y, oy, y1);
    n = together < layer.size.out_rows ? together : layer.size.out_rows;
    filter_band(layer, band_at(p, oy, n, y.data + (oy % y.rows) * p.out_w * p.out_c, mask));
  }
}

// Kernels k wide.
template <int k>
__attribute__((noinline)) void with_kernels(Layer& layer, Rows y, int32_t y0, int32_t y1, uint8_t* mask) {
  uint32_t kernels[kRowsChannels * k * (k - 1)];
  layer.kernels = kernels;
  filter_rows(layer, y, y0, y1, mask);
}

bool takes(const Conv& p) {
  return p.k_h == p.k_w && (p.k_w == 3 || p.k_w == 5 || p.k_w == 7) && p.stride_w <= 2 && p.in_c >= kRowsChannels;
}

}  // namespace

bool depthwise_rows_s8(const Conv& p, ConstRows x, Rows y, int16_t y0, int16_t y1, uint8_t* mask, void* scratch) {
  if (!takes(p)) return false;
  const DepthwiseBand size = depthwise_band(p);
  const int32_t plane_words = size.in_rows * size.row_words;
  uint32_t* planes = static_cast<uint32_t*>(scratch);
  const RowsShape shape = {p.k_w, p.stride_w, p.stride_h, p.out_w, size.row_words, plane_words,
                           p.k_h * row_kernel_words(p.k_w, p.stride_w)};
  Layer layer = {p, x, size, shape, planes, reinterpret_cast<int32_t*>(planes + kRowsChannels * plane_words),
                       nullptr};
  (p.k_w == 3 ? with_kernels<3> : p.k_w == 5 ? with_kernels<5> : with_kernels<7>)(layer, y, y0, y1, mask);
  return true;
}

}  // namespace dsp
}  // namespace tfodl
#endif
