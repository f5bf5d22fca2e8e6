// The same of a part of a layer, with less scratch.
#include "tfodl/detail/cold.h"
#define TFODL_QUADS_AT_ONCE update_quads_of_rows
#include "tfodl/detail/update_rows.h"

namespace tfodl {

void conv_columns_of_rows_update_s8(const Conv& conv, int32_t first, const int8_t* x, const int16_t* g_y, int16_t e_y,
                                    const uint8_t* mask, const Sgd& sgd, const UpdateState& state, int8_t* weights,
                                    void* scratch) {
  const Conv p = conv;
  int16_t rows[kMostRows];
  for (int32_t i = 0; i < p.out_c; ++i) rows[i] = static_cast<int16_t>(first + i);
  // rows are counted in the whole layer: so are what lies by row
  const uint8_t* bits = mask ? mask - first / 8 : nullptr;
  const Layer layer = {p, x, state.n, rows, state.channels, g_y - first, e_y, bits, sgd, state.scale - first, weights};
  update_rows(layer, Stepper(sgd, state), p.out_c, scratch);
}

}  // namespace tfodl
