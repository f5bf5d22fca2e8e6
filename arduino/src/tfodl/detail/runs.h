// The innermost runs of a Strided. Internal.
#ifndef TFODL_DETAIL_RUNS_H
#define TFODL_DETAIL_RUNS_H
#include "tfodl/types.h"

namespace tfodl {

// `visit(first)` for the input position of the first element of every run along the last axis, in order.
template <class Visit>
void for_each_run(const Strided& p, Visit visit) {
  int32_t done[5] = {};
  for (int32_t from = p.first;;) {
    visit(from);
    int32_t d = 4;
    for (; d >= 0; --d) {
      from += p.stride[d];
      if (++done[d] < p.size[d]) break;
      from -= p.stride[d] * p.size[d];
      done[d] = 0;
    }
    if (d < 0) return;
  }
}

}  // namespace tfodl

#endif  // TFODL_DETAIL_RUNS_H
