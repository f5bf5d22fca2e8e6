// Layers that widen a map, work on it channel by channel and narrow it again (1x1, depthwise, 1x1), some of the wide
// channels at a time: bit for bit what the layers give one after the other, but no wide map ever exists whole, nor its
// gradient. Contract: kernels.h; the channels of the wide maps, and those taken at a time, are multiples of 8.
#ifndef TFODL_SLICES_H
#define TFODL_SLICES_H
#include "tfodl/forward.h"
#include "tfodl/gradient.h"
#include "tfodl/update.h"

namespace tfodl {

// n channels of the wide map: the first layer's outputs, the depthwise layer's own, the last one's inputs.
constexpr Conv slice_of_outputs(Conv p, int32_t n) {
  p.out_c = static_cast<int16_t>(n);
  return p;
}
constexpr Conv slice_of_inputs(Conv p, int32_t n) {
  p.in_c = static_cast<int16_t>(n);
  return p;
}
constexpr Conv slice_of_both(const Conv& p, int32_t n) { return slice_of_inputs(slice_of_outputs(p, n), n); }
constexpr int32_t larger_of(int32_t a, int32_t b) { return a > b ? a : b; }
constexpr int32_t whole_eights(int32_t nbytes) { return (nbytes + 7) & ~7; }
// Bytes of a slice of a map, and of its clip mask.
constexpr int32_t slice_size(int32_t h, int32_t w, int32_t n) { return whole_eights(h * w * n); }
constexpr int32_t slice_mask(int32_t h, int32_t w, int32_t n) { return whole_eights(h * w * n / 8); }

// A 1x1 layer of stride 1 and the depthwise layer behind it, n channels at a time. Scratch: that of both layers' slices,
// the slices, their masks and the depthwise weights of a slice.
constexpr int32_t slices_s8_scratch_bytes(const Conv& expand, const Conv& depthwise, int32_t n) {
  return whole_eights(larger_of(pointwise_s8_scratch_bytes(slice_of_outputs(expand, n)),
                                depthwise_s8_scratch_bytes(slice_of_both(depthwise, n)))) +
         slice_size(expand.out_h, expand.out_w, n) + slice_size(depthwise.out_h, depthwise.out_w, n) +
         slice_mask(expand.out_h, expand.out_w, n) + slice_mask(depthwise.out_h, depthwise.out_w, n) +
         slice_size(depthwise.k_h, depthwise.k_w, n);
}
void slices_s8(const Conv& expand, const Conv& depthwise, int32_t n, const int8_t* x, uint8_t* expand_mask, int8_t* y,
               uint8_t* depthwise_mask, void* scratch);

// Backwards through all three layers. The last one's outputs are a multiple of 8, the first one's inputs of 4.
struct SlicedLayer {
  const Conv* conv;
  int32_t multiplier;  // of grad_factors
  int16_t shift;
  int16_t exponent;    // of ConvGrad
  int8_t headroom;
  const uint8_t* mask;
  GradScale* scale;    // of the layer's input gradient
};
constexpr int32_t kSlicePixels = 16, kSliceChannels = 64;  // pixels of the first layer at a time; channels at most
struct Bottleneck {
  SlicedLayer expand, depthwise, project;
  int16_t channels;  // of the wide maps at a time
  int16_t pixels;    // of the last layer at a time; 0: g_y is prepared once in its place, an even number of pixels
};

// Scratch: kernels, factors, rates. Slices: of two gradients (one where the second takes the first one's place), of masks,
// of weights.
constexpr bool slices_in_place(const Conv& depthwise) {
  return depthwise.in_h == depthwise.out_h && depthwise.in_w == depthwise.out_w && depthwise.stride_h == 1 &&
         depthwise.stride_w == 1 && depthwise_grad_band(depthwise).out_rows == depthwise.in_h;
}
constexpr int32_t sliced_kernels_bytes(const Conv& expand, const Conv& depthwise, const Conv& project, int32_t n,
                                       int32_t pixels, int32_t columns) {
  return whole_eights(larger_of(
      larger_of(pixels > 0 ? pointwise_input_grad_s16_scratch_bytes(some_pixels(slice_of_inputs(project, n), pixels))
                           : 8 * project.out_c,
                pointwise_input_grad_s16_scratch_bytes(some_pixels(slice_of_outputs(expand, n), kSlicePixels))),
      larger_of(larger_of(depthwise_input_grad_s16_scratch_bytes(slice_of_both(depthwise, n)),
                          2 * depthwise.out_h * depthwise.out_w),
                columns > 0 ? conv_columns_of_rows_update_s8_scratch_bytes(expand, columns) : 0)));
}
constexpr int32_t sliced_grad_scratch_bytes(const Conv& expand, const Conv& depthwise, const Conv& project, int32_t n,
                                            int32_t pixels, int32_t columns) {
  return sliced_kernels_bytes(expand, depthwise, project, n, pixels, columns) + whole_eights(2 * project.out_c) + 8 * n;
}
constexpr int32_t sliced_grad_slices_bytes(const Conv& depthwise, int32_t n) {
  return 2 * slice_size(depthwise.out_h, depthwise.out_w, n) +
         (slices_in_place(depthwise) ? 0 : 2 * slice_size(depthwise.in_h, depthwise.in_w, n)) +
         slice_mask(depthwise.out_h, depthwise.out_w, n) + slice_mask(depthwise.in_h, depthwise.in_w, n) +
         slice_size(depthwise.k_h, depthwise.k_w, n);
}

// Sums of the first half of the first layer's pixels; those of the others lie where its gradient comes.
constexpr int32_t sliced_grad_sums_bytes(const Conv& expand) {
  return 4 * ((expand.in_h * expand.in_w + 1) / 2) * expand.in_c;
}

// g_y [out_h][out_w][out_c] of the last layer -> the first one's g_x [in_h][in_w][in_c]. Where it shows at the end that a
// shift did not fit, all slices are made again.
struct SlicedMemory {
  int32_t* sums;
  void *scratch, *slices;
  int32_t columns;     // input channels of the first layer that train
  int32_t* bias_sums;  // [2][channels of the wide maps] where only biases train: then the updates need no gradients. Or null
};
void sliced_input_grad_s16(const Bottleneck& b, int16_t* g_y, int16_t e_y, int16_t* g_x,
                           const SlicedMemory& memory);

// One trained tensor of them; values: int32 biases or int8 columns, null: it does not train. Rates are made as by
// update_rates; state.scale is not used. All biases of a layer train, or none.
struct SlicedUpdate {
  UpdateState state;
  float factor;
  bool inverse;
  void* values;
};
struct SlicedUpdates {
  SlicedUpdate depthwise_bias, expand_bias, expand_columns;
};
// The updates that read the wide gradients, which are made once more (or their sums), after sliced_input_grad_s16. x: the first layer's
// trained input channels, as of conv_columns_update_s8.
void sliced_updates(const Bottleneck& b, const SlicedUpdates& updates, int16_t* g_y, int16_t e_y, const int8_t* x,
                    const Sgd& sgd, const SlicedMemory& memory);

}  // namespace tfodl

#endif  // TFODL_SLICES_H
