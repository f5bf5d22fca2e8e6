// Differences of integers in few bits. docs/store.md, "Packing". Internal.
#ifndef TFODL_STORE_PACKING_H
#define TFODL_STORE_PACKING_H
#include "tfodl/store/kept.h"

namespace tfodl {

constexpr uint8_t kRaw = 0xFF;           // in place of the parameter: plain little-endian values
constexpr uint32_t kMostOnes = 20;       // as many ones: 32 plain bits follow
constexpr uint32_t kMostParameter = 24;

// The values of one piece, one after the other, as differences from their base. Inlined: for packing.cpp alone.
class PieceCursor {
 public:
  PieceCursor(const Kept& kept, uint32_t piece);

  uint32_t left() const { return left_; }
  uint32_t width() const { return kept_->width; }
  int32_t get() const { return static_cast<int32_t>(load(place_) - base()); }
  void set(int32_t difference) { store(base() + static_cast<uint32_t>(difference)); }
  void next();

 private:
  uint32_t base() const;
  uint32_t load(const uint8_t* at) const;
  void store(uint32_t value);

  const Kept* kept_;
  uint8_t* place_;
  uint32_t left_, row_, column_;
};

// How a piece is packed: nothing (every difference is 0), Rice code with a parameter, or raw.
struct Packing {
  uint8_t parameter;
  uint16_t bytes;
};
Packing choose_packing(PieceCursor values);

// The packed bytes one after the other.
class Packer {
 public:
  Packer(PieceCursor values, Packing packing);
  uint8_t next();

 private:
  void refill();

  PieceCursor values_;
  uint8_t parameter_;
  bool head_ = true;
  uint64_t bits_ = 0;   // low bits first
  uint32_t filled_ = 0;
};

// Sets a piece from its record; false: the record is none of a piece like this.
bool unpack(const Store& store, StoredRecord record, PieceCursor values);

// Sets a piece that has no record.
void set_to_base(PieceCursor values);

}  // namespace tfodl

#endif  // TFODL_STORE_PACKING_H
