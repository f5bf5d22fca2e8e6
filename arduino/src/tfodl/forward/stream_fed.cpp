#include "tfodl/detail/cold.h"
#include "tfodl/detail/stages.h"

namespace tfodl {

void stream_fed_s8(const Stage* stages, int32_t n_stages, RowSource source, const Residual* residual, void* scratch) {
  run_stages<true>(stages, n_stages, nullptr, source, residual, scratch);
}

}  // namespace tfodl
