#include "tfodl/store/kept.h"

#include "tfodl/detail/cold.h"
#include "tfodl/store/packing.h"

namespace tfodl {
namespace {

// Whether the store holds exactly these bytes.
bool is_stored(const Store& store, uint16_t key, uint16_t index, const PieceCursor& values, Packing packing) {
  StoredRecord record;
  if (!store.find(key, index, &record)) return packing.bytes == 0;
  if (record.bytes != packing.bytes) return false;
  Packer packer(values, packing);
  uint8_t some[16];
  while (const uint32_t n = store.read(&record, some, sizeof some)) {
    for (uint32_t i = 0; i < n; ++i) {
      if (some[i] != packer.next()) return false;
    }
  }
  return true;
}

StoreStatus write_piece(Store& store, uint16_t key, uint16_t index, const PieceCursor& values, Packing packing) {
  const StoreStatus status = store.open(key, index, packing.bytes);
  if (status != StoreStatus::kOk) return status;
  Packer packer(values, packing);
  for (uint32_t i = 0; i < packing.bytes; ++i) {
    const uint8_t byte = packer.next();
    store.append(&byte, 1);
  }
  return store.close();
}

// Calls visit(key, index, values, packing) for every piece that is not stored as it is, while that gives kOk.
template <class Visit>
StoreStatus for_changed(Store& store, const Kept* kept, uint16_t n, Visit visit) {
  for (uint16_t key = 0; key < n; ++key) {
    const uint32_t count = pieces(kept[key].count, kept[key].width);
    for (uint16_t index = 0; index < count; ++index) {
      const PieceCursor values(kept[key], index);
      const Packing packing = choose_packing(values);
      if (is_stored(store, key, index, values, packing)) continue;
      const StoreStatus status = visit(key, index, values, packing);
      if (status != StoreStatus::kOk) return status;
    }
  }
  return StoreStatus::kOk;
}

}  // namespace

StoreStatus save_kept(Store& store, const Kept* kept, uint16_t n) {
  StoreStatus status = store.ready();
  if (status != StoreStatus::kOk) return status;
  uint32_t bytes = 0, largest = 0;
  for_changed(store, kept, n, [&](uint16_t, uint16_t, const PieceCursor&, Packing packing) {
    const uint32_t size = store.room(packing.bytes);
    bytes += size;
    if (size > largest) largest = size;
    return StoreStatus::kOk;
  });
  if (bytes == 0) return StoreStatus::kOk;
  status = store.begin(bytes, largest);
  if (status != StoreStatus::kOk) return status;
  status = for_changed(store, kept, n, [&](uint16_t key, uint16_t index, const PieceCursor& values, Packing packing) {
    return write_piece(store, key, index, values, packing);
  });
  return status == StoreStatus::kOk ? store.commit() : status;
}

StoreStatus restore_kept(Store& store, const Kept* kept, uint16_t n) {
  const StoreStatus status = store.mount();
  if (status != StoreStatus::kOk) return status;
  bool any = false;
  for (uint16_t key = 0; key < n; ++key) {
    const uint32_t count = pieces(kept[key].count, kept[key].width);
    for (uint16_t index = 0; index < count; ++index) {
      PieceCursor values(kept[key], index);
      StoredRecord record;
      if (store.find(key, index, &record)) {
        any = true;
        if (!unpack(store, record, values)) return StoreStatus::kDamaged;
      } else {
        set_to_base(values);
      }
    }
  }
  return any ? StoreStatus::kOk : StoreStatus::kEmpty;
}

}  // namespace tfodl
