// The state of learning as records of a store: every array that changes, in pieces, packed. docs/store.md, "Packing".
#ifndef TFODL_STORE_KEPT_H
#define TFODL_STORE_KEPT_H
#include "tfodl/store/store.h"

namespace tfodl {

// An array in RAM that is kept, and what it was when the engine was flashed.
struct Kept {
  void* data;              // `count` integers of `width` bytes, one every `step` bytes
  const void* base;        // the same integers in flash, [base rows][base_inner]; null: all 0
  const int16_t* rows;     // the row of `base` of every row here; null: all, in order
  const int16_t* columns;  // the column of `base` of every column here; null: all, in order
  uint32_t count;
  uint16_t inner;          // columns here
  uint16_t base_inner;
  uint8_t width, step;     // width 1, 2 or 4
};

constexpr uint32_t kPieceBytes = 512;

// How many records an array needs at most.
constexpr uint32_t pieces(uint32_t count, uint32_t width) {
  return (count * width + kPieceBytes - 1) / kPieceBytes;
}

// Writes those pieces of `kept` [n] that are not in the store as they are in RAM, in one transaction; array i has
// key i. kOk without a write when nothing changed.
StoreStatus save_kept(Store& store, const Kept* kept, uint16_t n);

// Mounts the store and sets every array to what it holds, or to its base. kEmpty: there was not one record. After
// anything but kOk, what the arrays hold is no state.
StoreStatus restore_kept(Store& store, const Kept* kept, uint16_t n);

}  // namespace tfodl

#endif  // TFODL_STORE_KEPT_H
