#include "tfodl/store/samples.h"

#include "tfodl/detail/cold.h"
#include "tfodl/detail/replay_place.h"

namespace tfodl {

StoreStatus Samples::save(Store& store, const Kept* kept, uint16_t n) {
  if (store_ != nullptr && store_ != &store) return StoreStatus::kBadRecord;
  const StoreStatus status = save_kept(store, kept, n);
  if (status == StoreStatus::kOk) {
    store_ = &store;
    memcpy(layout_.saved, layout_.slots, layout_.places);
    sure_ = true;
    tidy_ = false;
  } else if (status == StoreStatus::kWriteFailed) {
    sure_ = false;  // flash may hold the commit or not
  }
  return status;
}

StoreStatus Samples::restore(Store& store, const Kept* kept, uint16_t n) {
  const StoreStatus status = restore_kept(store, kept, n);
  if (status != StoreStatus::kOk) forget();
  memcpy(layout_.saved, layout_.slots, layout_.places);
  store_ = status == StoreStatus::kOk || status == StoreStatus::kEmpty ? &store : nullptr;
  sure_ = true;
  tidy_ = false;
  return status;
}

StoreStatus Samples::refuse() {
  store_ = nullptr;
  return StoreStatus::kDamaged;
}

void Samples::forget() {
  memset(layout_.slots, 0, layout_.places);
  tidy_ = false;
}

uint16_t Samples::piece_bytes(uint16_t piece) const {
  const uint32_t left = layout_.latent_bytes - piece * kPieceBytes;
  return static_cast<uint16_t>(left < kPieceBytes ? left : kPieceBytes);
}

// Whether a place takes up both slots until the next save.
bool Samples::is_changed(uint16_t place) const {
  const uint8_t now = layout_.slots[place], saved = layout_.saved[place];
  return now != 0 && saved != 0 && now != saved;
}

uint16_t Samples::changes_left() const {
  uint16_t left = layout_.changes;
  for (uint16_t place = 0; place < layout_.places; ++place) left = static_cast<uint16_t>(left - is_changed(place));
  return left;
}

// Removes what a power cut, a save or a reset left behind.
bool Samples::drop_unnamed() {
  StoredRecord record;
  uint32_t count = 0;
  for (int32_t pass = 0; pass < 2; ++pass) {
    if (pass == 1 && count == 0) break;
    if (pass == 1 && store_->begin(count * store_->room(0), store_->room(0)) != StoreStatus::kOk) return false;
    for (uint32_t i = 0; i < 2u * layout_.places; ++i) {
      const uint16_t place = static_cast<uint16_t>(i / 2);
      const uint8_t slot = static_cast<uint8_t>(i % 2 + 1);
      if (layout_.slots[place] == slot || layout_.saved[place] == slot) continue;
      for (uint16_t piece = 0; piece < pieces(); ++piece) {
        const uint16_t at = static_cast<uint16_t>(index(place, slot) + piece);
        if (!store_->find(layout_.key, at, &record)) continue;
        if (pass == 0) ++count;
        else if (store_->open(layout_.key, at, 0) != StoreStatus::kOk || store_->close() != StoreStatus::kOk) return false;
      }
    }
  }
  tidy_ = count == 0 || store_->commit() == StoreStatus::kOk;
  return tidy_;
}

bool Samples::write(uint16_t place, const int8_t* latent) {
  if (store_ == nullptr || !sure_ || store_->ready() != StoreStatus::kOk || (!tidy_ && !drop_unnamed())) return false;
  const uint8_t slot = layout_.saved[place] == 1 ? 2 : 1;
  const bool one_more = layout_.saved[place] != 0 && layout_.slots[place] != slot;
  if (one_more && changes_left() == 0) return false;
  uint32_t bytes = 0;
  for (uint16_t piece = 0; piece < pieces(); ++piece) bytes += store_->room(piece_bytes(piece));
  if (store_->begin(bytes, store_->room(piece_bytes(0))) != StoreStatus::kOk) return false;
  for (uint16_t piece = 0; piece < pieces(); ++piece) {
    const uint16_t n = piece_bytes(piece);
    if (store_->open(layout_.key, static_cast<uint16_t>(index(place, slot) + piece), n) != StoreStatus::kOk) return false;
    store_->append(latent + piece * kPieceBytes, n);
    if (store_->close() != StoreStatus::kOk) return false;
  }
  if (store_->commit() != StoreStatus::kOk) return false;
  layout_.slots[place] = slot;
  return true;
}

// What counts at a place, into `latent`, or (null) whether it is there.
bool Samples::copy(uint16_t place, int8_t* latent) const {
  for (uint16_t piece = 0; piece < pieces(); ++piece) {
    StoredRecord record;
    const uint16_t at = static_cast<uint16_t>(index(place, layout_.slots[place]) + piece);
    if (!store_->find(layout_.key, at, &record) || record.bytes != piece_bytes(piece)) return false;
    if (latent != nullptr) store_->read(&record, latent + piece * kPieceBytes, record.bytes);
  }
  return true;
}

bool Samples::holds(uint16_t place) const {
  const uint8_t slot = layout_.slots[place];
  return store_ != nullptr && (slot == 1 || slot == 2) && copy(place, nullptr);
}

bool Samples::read(uint16_t place, int8_t* latent) const {
  if (store_ == nullptr || layout_.slots[place] == 0) return false;
  return copy(place, latent) || (store_->mount() == StoreStatus::kOk && copy(place, latent));
}

bool remember_sample(Samples& samples, const SampleMemory& memory, const int8_t* latent, int32_t label) {
  const ReplayBuffers& m = memory.buffers;
  ReplayCounts next = memory.counts;
  ++m.offered[label];
  ++next.total;
  const int32_t place = place_of(m, next, label);
  if (place >= 0 && !samples.write(static_cast<uint16_t>(memory.first + place), latent)) {
    --m.offered[label];
    return false;
  }
  if (place >= 0) m.labels[place] = static_cast<int16_t>(label);
  if (place == next.held) ++next.held;
  memory.counts = next;
  return true;
}

bool is_whole(const Samples& samples, const SampleMemory& memory, int32_t classes) {
  const ReplayBuffers& m = memory.buffers;
  const int32_t held = memory.counts.held;
  if (held < 0 || held > m.capacity) return false;
  for (int32_t i = 0; i < held; ++i) {
    if (m.labels[i] < 0 || m.labels[i] >= classes || !samples.holds(static_cast<uint16_t>(memory.first + i))) return false;
  }
  return true;
}

}  // namespace tfodl
