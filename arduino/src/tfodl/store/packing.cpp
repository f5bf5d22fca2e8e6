// As hot.h, but not at any size: O3 would be 1.4 KB more for 10 % of the cycles.
#if defined(__GNUC__) && !defined(__clang__) && defined(__OPTIMIZE__)
#pragma GCC optimize("O2")
#endif
#include "tfodl/store/packing.h"

namespace tfodl {
namespace {

// 0, -1, 1, -2, 2 ... to 0, 1, 2, 3, 4 ...
uint32_t fold(int32_t x) { return (static_cast<uint32_t>(x) << 1) ^ static_cast<uint32_t>(x < 0 ? -1 : 0); }
int32_t unfold(uint32_t x) { return static_cast<int32_t>((x >> 1) ^ (0u - (x & 1))); }

uint32_t bits_of(uint32_t folded, uint32_t parameter) {
  const uint32_t ones = folded >> parameter;
  return ones < kMostOnes ? ones + 1 + parameter : kMostOnes + 32;
}

// Bits of a record, low bits first; zeros behind its end.
class BitReader {
 public:
  BitReader(const Store& store, StoredRecord record) : store_(store), record_(record) {}

  // n <= 24.
  uint32_t take(uint32_t n) {
    need(n);
    const uint32_t value = bits_ & ((1u << n) - 1);
    drop(n);
    return value;
  }

  __attribute__((noinline)) uint32_t take_wide(uint32_t n) {
    if (n <= 16) return take(n);
    const uint32_t low = take(16);
    return take(n - 16) << 16 | low;
  }

  // Ones before the next zero, which is taken, too; at most kMostOnes, without a zero.
  uint32_t take_ones() {
    need(kMostOnes + 1);
    const uint32_t ones = static_cast<uint32_t>(__builtin_ctz(~bits_ | 1u << kMostOnes));
    drop(ones < kMostOnes ? ones + 1 : ones);
    return ones;
  }

  // Whether more was taken than there was.
  bool over() const { return filled_ < made_up_; }

 private:
  void need(uint32_t n) {
    while (filled_ < n) {
      if (next_ == buffered_) refill();
      bits_ |= uint32_t{buffer_[next_++]} << filled_;
      filled_ += 8;
    }
  }

  void drop(uint32_t n) {
    bits_ >>= n;
    filled_ -= n;
  }

  __attribute__((noinline)) void refill() {
    buffered_ = store_.read(&record_, buffer_, sizeof buffer_);
    next_ = 0;
    if (buffered_) return;
    buffer_[0] = 0;
    buffered_ = 1;
    made_up_ += 8;
  }

  const Store& store_;
  StoredRecord record_;
  uint32_t bits_ = 0, filled_ = 0;
  uint32_t made_up_ = 0;  // bits behind the end: they are the last
  uint32_t next_ = 0, buffered_ = 0;
  uint8_t buffer_[64];
};

}  // namespace

PieceCursor::PieceCursor(const Kept& kept, uint32_t piece) : kept_(&kept) {
  const uint32_t most = kPieceBytes / kept.width, first = piece * most;
  left_ = kept.count - first < most ? kept.count - first : most;
  place_ = static_cast<uint8_t*>(kept.data) + first * kept.step;
  row_ = first / kept.inner;
  column_ = first % kept.inner;
}

__attribute__((always_inline)) inline uint32_t PieceCursor::load(const uint8_t* at) const {
  if (kept_->width == 1) return static_cast<uint32_t>(static_cast<int8_t>(*at));
  int16_t half;
  uint32_t word;
  memcpy(&half, at, 2);
  if (kept_->width == 2) return static_cast<uint32_t>(half);
  memcpy(&word, at, 4);
  return word;
}

__attribute__((always_inline)) inline void PieceCursor::next() {
  --left_;
  place_ += kept_->step;
  if (++column_ == kept_->inner) column_ = 0, ++row_;
}

__attribute__((always_inline)) inline uint32_t PieceCursor::base() const {
  if (!kept_->base) return 0;
  const uint32_t row = kept_->rows ? static_cast<uint32_t>(kept_->rows[row_]) : row_;
  const uint32_t column = kept_->columns ? static_cast<uint32_t>(kept_->columns[column_]) : column_;
  return load(static_cast<const uint8_t*>(kept_->base) + (row * kept_->base_inner + column) * kept_->width);
}

__attribute__((always_inline)) inline void PieceCursor::store(uint32_t value) {
  const uint16_t half = static_cast<uint16_t>(value);
  if (kept_->width == 1) *place_ = static_cast<uint8_t>(value);
  if (kept_->width == 2) memcpy(place_, &half, 2);
  if (kept_->width == 4) memcpy(place_, &value, 4);
}

Packing choose_packing(PieceCursor values) {
  const uint32_t raw = 1 + values.left() * values.width();
  const PieceCursor first = values;
  uint64_t sum = 0;
  for (; values.left(); values.next()) sum += fold(values.get());
  if (sum == 0) return {0, 0};
  uint32_t parameter = 0;
  while (parameter < kMostParameter && (uint64_t{first.left()} << (parameter + 1)) <= sum) ++parameter;
  uint32_t bits = 0;
  for (values = first; values.left(); values.next()) bits += bits_of(fold(values.get()), parameter);
  const uint32_t bytes = 1 + (bits + 7) / 8;
  if (bytes >= raw) return {kRaw, static_cast<uint16_t>(raw)};
  return {static_cast<uint8_t>(parameter), static_cast<uint16_t>(bytes)};
}

Packer::Packer(PieceCursor values, Packing packing) : values_(values), parameter_(packing.parameter) {}

uint8_t Packer::next() {
  if (head_) {
    head_ = false;
    return parameter_;
  }
  while (filled_ < 8 && values_.left()) refill();
  const uint8_t byte = static_cast<uint8_t>(bits_);
  bits_ >>= 8;
  filled_ = filled_ < 8 ? 0 : filled_ - 8;
  return byte;
}

// One more value.
void Packer::refill() {
  const int32_t value = values_.get();
  uint64_t code = static_cast<uint32_t>(value);
  uint32_t n = 8 * values_.width();
  if (parameter_ == kRaw) {
    code &= (uint64_t{1} << n) - 1;
  } else {
    const uint32_t folded = fold(value), ones = folded >> parameter_;
    n = bits_of(folded, parameter_);
    code = ones < kMostOnes ? ((uint64_t{folded} & ((1u << parameter_) - 1)) << (ones + 1)) | ((1u << ones) - 1)
                            : (uint64_t{folded} << kMostOnes) | ((1u << kMostOnes) - 1);
  }
  bits_ |= code << filled_;
  filled_ += n;
  values_.next();
}

void set_to_base(PieceCursor values) {
  for (; values.left(); values.next()) values.set(0);
}

bool unpack(const Store& store, StoredRecord record, PieceCursor values) {
  BitReader bits(store, record);
  const uint32_t parameter = bits.take(8);
  if (parameter != kRaw && parameter > kMostParameter) return false;
  for (; values.left(); values.next()) {
    int32_t difference;
    if (parameter == kRaw) {
      difference = static_cast<int32_t>(bits.take_wide(8 * values.width()));
    } else {
      const uint32_t ones = bits.take_ones();
      difference = unfold(ones < kMostOnes ? ones << parameter | bits.take(parameter) : bits.take_wide(32));
    }
    values.set(difference);
  }
  return !bits.over();
}

}  // namespace tfodl
