#include "tfodl/detail/cold.h"
#include "tfodl/detail/stages.h"

namespace tfodl {

void stream_s8(const Stage* stages, int32_t n_stages, const int8_t* x, const Residual* residual, void* scratch) {
  run_stages<false>(stages, n_stages, x, nullptr, residual, scratch);
}

}  // namespace tfodl
