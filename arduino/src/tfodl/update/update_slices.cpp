#include "tfodl/detail/cold.h"
#include "tfodl/detail/sliced_pass.h"
#include "tfodl/detail/update_step.h"
#include "tfodl/support.h"

namespace tfodl {
namespace {

// Biases first .. first + n from their gradients, 8 at a time.
void step_biases_of(const SlicedUpdate& update, const Conv& part, int32_t first, const int32_t* sums, int32_t exponent,
                    const Sgd& sgd, float* rates) {
  int32_t* bias = static_cast<int32_t*>(update.values) + first;
  const Stepper stepper(sgd, update.state);
  const uint32_t number = stepper.key() + static_cast<uint32_t>(first);
  update_rates(part, update.factor, update.inverse, rates);
  int32_t i = 0;
  if (stepper.plain()) i = step_biases(bias, part.out_c, sums, rates, sgd.learning_rate, exponent, number);
  for (; i < part.out_c; ++i) {
    const int64_t units = step_units(sums[i], rate_of(sgd.learning_rate, rates[i], exponent), kBiasUnits);
    bias[i] = stepper.bias(bias[i], units, first + i, number + static_cast<uint32_t>(i));
  }
}

// Rows first .. first + n of the trained columns.
void step_columns_of(const SlicedUpdate& update, const SlicedPass& pass, int16_t exponent, const int8_t* x,
                     const Sgd& sgd) {
  const int32_t at = pass.first * update.state.n;
  UpdateState state = update.state;
  update_rates(pass.expand, update.factor, update.inverse, pass.rates);
  state.scale = pass.rates;
  if (state.batch) state.batch += at;
  if (state.momentum) state.momentum += at;
  if (state.accumulator) state.accumulator += at;
  conv_columns_of_rows_update_s8(pass.expand, pass.first, x, pass.inner, exponent, pass.inner_mask, sgd, state,
                                 static_cast<int8_t*>(update.values) + at, pass.kernels);
}

}  // namespace

void sliced_updates(const Bottleneck& b, const SlicedUpdates& updates, int16_t* g_y, int16_t e_y, const int8_t* x,
                    const Sgd& sgd, const SlicedMemory& memory) {
  const SlicedUpdate &columns = updates.expand_columns, &bias = updates.expand_bias;
  const int16_t outer = b.project.scale->exponent, inner = b.depthwise.scale->exponent;
  const int32_t wide = b.expand.conv->out_c;
  SlicedPass pass(b, g_y, memory);
  int32_t* sums = static_cast<int32_t*>(pass.kernels);  // where they were not kept
  for (int32_t c = 0; c < wide; c += b.channels) {
    const int32_t* kept = memory.bias_sums ? memory.bias_sums + c : nullptr;
    pass.begin(c);
    if (!kept) pass.project(outer - (e_y + b.project.exponent));
    if (updates.depthwise_bias.values) {
      if (!kept) pass.sum_outer(sums);
      step_biases_of(updates.depthwise_bias, pass.depthwise, c, kept ? kept : sums, outer, sgd, pass.rates);
    }
    if (!columns.values && !bias.values) continue;
    if (!kept) pass.filter(inner - (outer + b.depthwise.exponent));
    if (columns.values) step_columns_of(columns, pass, inner, x, sgd);
    if (bias.values) {
      if (!kept) pass.sum_inner(sums);
      step_biases_of(bias, pass.expand, c, kept ? kept + wide : sums, inner, sgd, pass.rates);
    }
  }
}

}  // namespace tfodl
