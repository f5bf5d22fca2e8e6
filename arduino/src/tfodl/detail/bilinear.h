// Which pixels of a Bilinear make which. Internal.
#ifndef TFODL_DETAIL_BILINEAR_H
#define TFODL_DETAIL_BILINEAR_H
#include "tfodl/types.h"

namespace tfodl {

// Output i of a side lies between inputs `lower` and `upper`, which has part / 1024 of it.
struct Tap {
  int32_t lower, upper, part;
  Tap(int32_t i, int32_t scale, bool half_pixel, int32_t size) {
    const int32_t at = i * scale + (half_pixel ? scale / 2 - 512 : 0);
    const int32_t low = at / 1024, high = (at + 1023) / 1024;
    lower = low > 0 ? low : 0;
    upper = high < size ? high : size - 1;
    part = upper > lower ? at - 1024 * lower : 0;
  }
  int32_t weight(int32_t of) const { return (of == lower ? 1024 - part : 0) + (of == upper ? part : 0); }
};

// The outputs first <= i < end of a side that input `of` may have a part in, while `of` goes up.
struct Readers {
  int32_t scale, size, outputs, first, end;
  bool half_pixel;
  Readers(int32_t scale_, bool half, int32_t size_, int32_t outputs_)
      : scale(scale_), size(size_), outputs(outputs_), first(0), end(0), half_pixel(half) {}
  Tap tap(int32_t i) const { return {i, scale, half_pixel, size}; }
  void move_to(int32_t of) {
    while (first < outputs && tap(first).upper < of) ++first;
    while (end < outputs && tap(end).lower <= of) ++end;
  }
};

// `visit(rows, columns, iy, ix)` for every input pixel, in order.
template <class Visit>
void for_each_input(const Bilinear& p, Visit visit) {
  Readers rows(p.scale_h, p.half_pixel, p.in_h, p.out_h);
  for (int32_t iy = 0; iy < p.in_h; ++iy) {
    rows.move_to(iy);
    Readers columns(p.scale_w, p.half_pixel, p.in_w, p.out_w);
    for (int32_t ix = 0; ix < p.in_w; ++ix) {
      columns.move_to(ix);
      visit(rows, columns, iy, ix);
    }
  }
}

// The sum of `term(output position, weight Q20)` over the outputs that input pixel (iy, ix) has a part in.
template <class Sum, class Term>
Sum sum_of_readers(const Readers& rows, const Readers& columns, int32_t iy, int32_t ix, Term term) {
  Sum sum = 0;
  for (int32_t y = rows.first; y < rows.end; ++y) {
    const int32_t h = rows.tap(y).weight(iy);
    for (int32_t x = columns.first; x < columns.end; ++x) {
      const int32_t weight = h * columns.tap(x).weight(ix);
      if (weight) sum += term(y * columns.outputs + x, weight);
    }
  }
  return sum;
}

}  // namespace tfodl

#endif  // TFODL_DETAIL_BILINEAR_H
