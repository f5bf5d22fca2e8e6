#include "tfodl/dsp/hot_dsp.h"
#include "tfodl/dsp/tile_dsp.h"

#if TFODL_DSP
#include "tfodl/detail/fixed_point.h"
#include "tfodl/dsp/widen_dsp.h"

namespace tfodl {
namespace dsp {
namespace {

inline const int8_t* row_at(ConstRows x, int32_t y, int32_t bytes) { return x.data + (y % x.rows) * bytes; }

inline int8_t* copy_bytes(const int8_t* from, int32_t n, int8_t* to) {
  for (; n >= 4; n -= 4, from += 4, to += 4) {
    const uint32_t word = load_word(from);
    memcpy(to, &word, 4);
  }
  for (; n > 0; --n) *to++ = *from++;
  return to;
}

inline int8_t* fill_bytes(int8_t value, int32_t n, int8_t* to) {
  for (; n > 0; --n) {
    __asm volatile("strb %1, %0" : "=m"(*to) : "r"(value));  // few: no memset
    ++to;
  }
  return to;
}

// Copies a window, padding included, row behind row, and fills its last group.
void copy_window(const Columns& columns, ConstRows x, int32_t top, int32_t left) {
  const Conv& p = columns.p;
  const int32_t in_c = p.in_c, row = p.in_w * in_c;
  const int8_t zero = static_cast<int8_t>(p.in_zero);
  const int32_t from = clamp_s32(-left, 0, p.k_w), to_x = clamp_s32(p.in_w - left, from, p.k_w);
  int8_t* to = columns.window;
  for (int32_t iy = top; iy < top + p.k_h; ++iy) {
    if (iy < 0 || iy >= p.in_h) {
      to = fill_bytes(zero, p.k_w * in_c, to);
      continue;
    }
    to = fill_bytes(zero, from * in_c, to);
    to = copy_bytes(row_at(x, iy, row) + (left + from) * in_c, (to_x - from) * in_c, to);
    to = fill_bytes(zero, (p.k_w - to_x) * in_c, to);
  }
  fill_bytes(zero, 4 * columns.order.groups - columns.order.depth, to);
}

// Seldom run, often called: one copy.
#define TFODL_ONCE __attribute__((noinline))

// Widens the windows of output pixels one after the other.
class Cursor {
 public:
  TFODL_ONCE Cursor(const Columns& columns, ConstRows x, int32_t pixel)
      : columns_(columns), p_(columns.p), x_(x), row_(p_.in_w * p_.in_c), step_(p_.stride_w * p_.in_c),
        offset_(both_halves(-p_.in_zero)), oy_(pixel / p_.out_w) {
    start_row(pixel % p_.out_w);
  }

  void widen_next(uint32_t* to) {
    const DepthOrder& order = columns_.order;
    const bool inside = rows_inside_ && left_ >= 0 && left_ + p_.k_w <= p_.in_w;
    if (order.nines) {
      const bool in_place = inside && slot_ + 3 <= x_.rows;
      if (!in_place) copy_window(columns_, x_, top_, left_);
      tfodl_widen_nines(in_place ? at_ : columns_.window, in_place ? row_ : 9, offset_, to);
    } else if (p_.in_c % 4 == 0 || (inside && order.row_bytes % 4 == 0)) {
      widen_rows(inside, to);
    } else {
      inside ? copy_rows() : copy_window(columns_, x_, top_, left_);
      tfodl_widen_words(columns_.window, order.groups, offset_, to);
    }
    at_ += step_;
    left_ += p_.stride_w;
    if (--left_in_row_ == 0) ++oy_, start_row(0);
  }

  // How many windows of 3 x 9 bytes can be read in place one after the other from here.
  TFODL_ONCE int32_t nines_in_place() const {
    if (!columns_.order.nines || !rows_inside_ || left_ < 0 || slot_ + 3 > x_.rows) return 0;
    const int32_t beyond = p_.in_w - p_.k_w - left_;
    const int32_t fit = beyond < 0 ? 0 : beyond / p_.stride_w + 1;
    return fit < left_in_row_ ? fit : left_in_row_;
  }

  // Widens n of them to every other pixel from `to` on.
  TFODL_ONCE void widen_nines(int32_t n, uint32_t* to) {
    left_ += n * p_.stride_w;
    left_in_row_ -= n;
    for (; n > 0; --n, at_ += step_, to += 4 * 7) tfodl_widen_nines(at_, row_, offset_, to);
    if (left_in_row_ == 0) ++oy_, start_row(0);
  }

 private:
  TFODL_ONCE void start_row(int32_t ox) {
    left_in_row_ = p_.out_w - ox;
    left_ = ox * p_.stride_w - p_.pad_left;
    top_ = oy_ * p_.stride_h - p_.pad_top;
    rows_inside_ = top_ >= 0 && top_ + p_.k_h <= p_.in_h;
    slot_ = top_ < 0 ? 0 : top_ % x_.rows;
    at_ = x_.data + slot_ * row_ + left_ * p_.in_c;
  }

  // Row behind row, without a copy; words of padding are 0.
  void widen_rows(bool inside, uint32_t* to) const {
    const int32_t words = columns_.order.row_bytes >> 2, pixel = p_.in_c >> 2;
    const int32_t before = inside ? 0 : clamp_s32(-left_, 0, p_.k_w) * pixel;
    const int32_t after = inside ? 0 : clamp_s32(left_ + p_.k_w - p_.in_w, 0, p_.k_w) * pixel;
    const int32_t here = words - before - after;
    int32_t slot = slot_;
    const int8_t* from = at_ + 4 * before;
    for (int32_t iy = top_; iy < top_ + p_.k_h; ++iy) {
      const bool row_inside = iy >= 0 && iy < p_.in_h && here > 0;
      to = fill_padding(row_inside ? before : words, to);
      if (row_inside) to = fill_padding(after, tfodl_widen_words(from, here, offset_, to));
      if (iy < 0) continue;
      from += row_;
      if (++slot == x_.rows) slot = 0, from -= x_.rows * row_;
    }
  }

  static uint32_t* fill_padding(int32_t words, uint32_t* to) {
    for (; words > 0; --words, to += 4) to[0] = to[1] = 0;
    return to;
  }

  // A window inside the map, and what fills its last group.
  void copy_rows() const {
    int8_t* to = columns_.window;
    const int8_t* from = at_;
    for (int32_t slot = slot_, y = 0; y < p_.k_h; ++y, from += row_) {
      to = copy_bytes(from, columns_.order.row_bytes, to);
      if (++slot == x_.rows) slot = 0, from -= x_.rows * row_;
    }
    fill_bytes(static_cast<int8_t>(p_.in_zero), 4 * columns_.order.groups - columns_.order.depth, to);
  }

  const Columns& columns_;
  const Conv& p_;
  ConstRows x_;
  int32_t row_, step_;  // bytes
  uint32_t offset_;
  int32_t oy_, top_ = 0, left_ = 0, left_in_row_ = 0, slot_ = 0;
  const int8_t* at_ = nullptr;
  bool rows_inside_ = false;
};

// Pixel `pixel` where the layer is direct.
const int8_t* direct_at(const Conv& p, ConstRows x, int32_t pixel) {
  return row_at(x, pixel / p.in_w, p.in_w * p.in_c) + pixel % p.in_w * p.in_c;
}

// Do n pixels from `first` on lie one behind the other?
bool in_one_piece(const Conv& p, ConstRows x, int32_t first, int32_t n) {
  return first / p.in_w % x.rows + (first % p.in_w + n - 1) / p.in_w < x.rows;
}

}  // namespace

void Columns::fill(ConstRows x, int32_t first, int32_t n) const {
  const int32_t pairs = (n + 1) / 2, half = n / 2;
  uint32_t* to = pixels;
  if (direct && order.depth % 4 == 0 && in_one_piece(p, x, first, n)) {
    tfodl_widen_pair(direct_at(p, x, first), direct_at(p, x, first + half), order.groups * pairs,
                     both_halves(-p.in_zero), to);
    return;
  }
  Cursor one(*this, x, first), other(*this, x, first + half);
  for (int32_t left = pairs; left > 0;) {
    const int32_t a = one.nines_in_place(), b = other.nines_in_place(), both = a < b ? a : b;
    const int32_t run = both < left ? both : left;
    if (run > 0) {
      one.widen_nines(run, to);
      other.widen_nines(run, to + 2);
    } else {
      one.widen_next(to);
      other.widen_next(to + 2);
    }
    left -= run > 0 ? run : 1;
    to += 4 * order.groups * (run > 0 ? run : 1);
  }
}

}  // namespace dsp
}  // namespace tfodl
#endif
