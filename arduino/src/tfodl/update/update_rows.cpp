// Weight gradients and updates of convolutions: a tile of input channels and taps is transposed once, and every
// pair of trained rows goes over it.
#include "tfodl/detail/cold.h"
#include "tfodl/detail/update_rows.h"

namespace tfodl {

void conv_weights_update_s8(const Conv& conv, const int8_t* x, const int16_t* g_y, int16_t e_y,
                            const uint8_t* mask, const Sgd& sgd, const UpdateState& state, int8_t* weights,
                            void* scratch) {
  const Conv p = conv;
  const Layer layer = {p, x, p.in_c, state.channels, nullptr, g_y, e_y, mask, sgd, state.scale, weights};
  update_rows(layer, Stepper(sgd, state), state.n, scratch);
}

void conv_columns_update_s8(const Conv& conv, const int8_t* x, const int16_t* g_y, int16_t e_y,
                            const uint8_t* mask, const Sgd& sgd, const UpdateState& state, int8_t* weights,
                            void* scratch) {
  const Conv p = conv;
  const Layer layer = {p, x, state.n, nullptr, state.channels, g_y, e_y, mask, sgd, state.scale, weights};
  update_rows(layer, Stepper(sgd, state), p.out_c, scratch);
}

}  // namespace tfodl
