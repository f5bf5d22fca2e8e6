// The latents of a replay memory as records of a store. docs/store.md, "Samples".
//
// Every place has two slots, of which one counts. A new sample is written at once, into the slot that the last save does
// not name; which slot counts is saved with weights, labels and counts. So what a power cut leaves is the last save,
// memory and all.
#ifndef TFODL_STORE_SAMPLES_H
#define TFODL_STORE_SAMPLES_H
#include "tfodl/replay.h"
#include "tfodl/store/kept.h"

namespace tfodl {

// Buffers of the engine, and where the samples lie: in records of kPieceBytes, with the index
// (2 * place + slot - 1) * pieces + piece.
struct SampleLayout {
  uint8_t* slots;  // [places] the slot that counts, 1 or 2; 0: no sample. To be kept with the state.
  uint8_t* saved;  // [places] the same of the last save
  uint32_t latent_bytes;
  uint16_t places;
  uint16_t changes;  // places whose saved sample may have been replaced at a time
  uint16_t key;
};

class Samples {
 public:
  explicit constexpr Samples(const SampleLayout& layout) : layout_(layout) {}

  // save_kept and restore_kept, by which `slots` is kept. After restore the samples are those of this store; no other
  // is taken until then.
  StoreStatus save(Store& store, const Kept* kept, uint16_t n);
  StoreStatus restore(Store& store, const Kept* kept, uint16_t n);

  // What was restored is no state after all: kDamaged, and nothing is written until the next restore or save.
  StoreStatus refuse();

  // No place has a sample; what was saved stays until the next save.
  void forget();

  // A sample into a place; false, and nothing changes: there is no store, it failed, or no changes are left.
  bool write(uint16_t place, const int8_t* latent);

  // The latent at a place; false: there is none.
  bool read(uint16_t place, int8_t* latent) const;

  // Whether a place has a whole sample.
  bool holds(uint16_t place) const;

  // Saved samples that may still be replaced before the next save.
  uint16_t changes_left() const;

 private:
  uint16_t pieces() const { return static_cast<uint16_t>((layout_.latent_bytes + kPieceBytes - 1) / kPieceBytes); }
  uint16_t piece_bytes(uint16_t piece) const;
  uint16_t index(uint16_t place, uint8_t slot) const { return static_cast<uint16_t>((2 * place + slot - 1) * pieces()); }
  bool is_changed(uint16_t place) const;
  bool copy(uint16_t place, int8_t* latent) const;
  bool drop_unnamed();

  const SampleLayout& layout_;
  Store* store_ = nullptr;
  bool sure_ = true;   // `saved` is what is in flash
  bool tidy_ = false;  // no slot has a record but those that are named
};

// One of several memories whose latents are samples, one behind the other: place i is place first + i.
struct SampleMemory {
  const ReplayBuffers& buffers;  // without latents
  ReplayCounts& counts;
  uint16_t first;
};

// replay_remember, into the samples; false, and nothing changes, where they do not take it.
bool remember_sample(Samples& samples, const SampleMemory& memory, const int8_t* latent, int32_t label);

// Whether labels and counts are of samples that are there, of classes below `classes`.
bool is_whole(const Samples& samples, const SampleMemory& memory, int32_t classes);

}  // namespace tfodl

#endif  // TFODL_STORE_SAMPLES_H
