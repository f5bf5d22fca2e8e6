// A flash that loses power, and a store on it whose every state is known. Host and board; no library but the store's.
#pragma once
#include <stdint.h>
#include <string.h>

#include "tfodl/store/store.h"

struct Random {
  uint64_t state;
  uint32_t operator()() {
    state = state * 6364136223846793005u + 1442695040888963407u;
    return static_cast<uint32_t>(state >> 33) ^ static_cast<uint32_t>(state >> 17);
  }
  uint32_t below(uint32_t n) { return operator()() % n; }
};

// What a cut leaves of the unit or page that was being changed.
enum class Left : uint8_t { kOld, kNew, kRandom, kBits, kCount };

inline uint8_t left_of(Left left, uint8_t before, uint8_t after, Random& random) {
  switch (left) {
    case Left::kOld: return before;
    case Left::kNew: return after;
    case Left::kRandom: return static_cast<uint8_t>(random());
    default: return static_cast<uint8_t>(before ^ ((before ^ after) & random()));
  }
}

#ifndef TFODL_MOST_BYTES
#define TFODL_MOST_BYTES 64 * 512
#endif
constexpr uint32_t kMostBytes = TFODL_MOST_BYTES;
constexpr uint8_t kUnstable = 2;

// Written once between two erases, unit by unit; anything else is counted in `misused`.
class Flash : public tfodl::FlashArea {
 public:
  Flash(uint32_t page_bytes, uint8_t pages, uint8_t write_bytes, uint8_t slices)
      : FlashArea(page_bytes, pages, write_bytes, slices) {
    memset(memory, 0xFF, sizeof memory);
    memset(used, 0, sizeof used);
  }

  void read(uint32_t at, void* data, uint32_t n) const override {
    if (at > bytes() || n > bytes() - at) {
      ++misused;
      memset(data, 0, n);
      return;
    }
    memcpy(data, memory + at, n);
    reads += n;
    for (uint32_t i = 0; unstable && i < n; ++i) {
      if (used[at + i] == kUnstable && random.below(2)) static_cast<uint8_t*>(data)[i] = static_cast<uint8_t>(random());
    }
  }

  void write(uint32_t at, const void* data, uint32_t n) override {
    if (at % write_bytes || n % write_bytes || at > bytes() || n > bytes() - at) {
      ++misused;
      return;
    }
    for (uint32_t i = 0; i < n; i += write_bytes) write_unit(at + i, static_cast<const uint8_t*>(data) + i);
  }

  void erase_slice(uint8_t page) override {
    if (page >= pages) {
      ++misused;
      return;
    }
    before_operation(page, 0, nullptr);
    const bool whole = ++slices_done[page] >= erase_slices;
    ++operations;
    if (slices_done[page] == erase_slices) ++erases[page];
    for (uint32_t i = 0; i < page_bytes; ++i) {
      uint8_t& byte = memory[page * page_bytes + i];
      byte = whole ? uint8_t{0xFF} : left_of(Left::kBits, byte, 0xFF, random);
    }
    memset(used + page * page_bytes, whole ? 0 : 1, page_bytes);
  }

  bool may_write() override { return supply; }

  uint32_t bytes() const { return page_bytes * pages; }

  // What is left when power fails during the operation that is about to start.
  void interrupt(uint8_t page, uint32_t at, const uint8_t* unit, Left left) {
    if (unit) {
      for (uint32_t i = 0; i < write_bytes; ++i) {
        memory[at + i] = left_of(left, memory[at + i], memory[at + i] & unit[i], random);
        used[at + i] = kUnstable;
      }
      return;
    }
    for (uint32_t i = 0; i < page_bytes; ++i) {
      const uint32_t place = page * page_bytes + i;
      memory[place] = left_of(left, memory[place], 0xFF, random);
      used[place] = kUnstable;
    }
    slices_done[page] = 0;
  }

  // Called before anything changes; unit is null for an erase.
  virtual void before_operation(uint8_t, uint32_t, const uint8_t*) {}

  uint8_t memory[kMostBytes];
  uint8_t used[kMostBytes];
  uint32_t erases[64] = {};
  uint8_t slices_done[64] = {};
  uint32_t operations = 0;
  mutable uint32_t misused = 0;
  mutable uint64_t reads = 0;
  bool supply = true;
  bool unstable = false;  // what a cut left reads differently every time
  mutable Random random = {1};

 private:
  void write_unit(uint32_t at, const uint8_t* unit) {
    const uint8_t page = static_cast<uint8_t>(at / page_bytes);
    before_operation(page, at, unit);
    ++operations;
    slices_done[page] = 0;
    for (uint32_t i = 0; i < write_bytes; ++i) {
      misused += used[at + i] != 0;
      memory[at + i] &= unit[i];
      used[at + i] = 1;
    }
  }
};

constexpr uint16_t kKeys = 4, kSlots = 24;
constexpr uint16_t kFirstSlot[kKeys + 1] = {0, 1, 9, 20, kSlots};
constexpr tfodl::StoreLayout kLayout = {{1, 2, 3, 4, 5, 6, 7, 8}, kFirstSlot, kKeys};

// The state of a store: the version of every record, 0 where there is none. Size and bytes follow from it.
struct Versions {
  uint16_t of[kSlots];
  bool operator==(const Versions& other) const { return memcmp(of, other.of, sizeof of) == 0; }
};

inline uint16_t size_of(uint16_t slot, uint16_t version) {
  const uint32_t most = slot % 5 == 0 ? 120 : 40;
  return version ? static_cast<uint16_t>(1 + (slot * 7919u + version * 104729u) % most) : uint16_t{0};
}
inline uint8_t byte_of(uint16_t slot, uint16_t version, uint16_t i) {
  return static_cast<uint8_t>((slot * 31u + version * 131u + i * 17u) ^ (version >> 3));
}

inline uint16_t key_of(uint16_t slot) {
  uint16_t key = 0;
  while (kFirstSlot[key + 1] <= slot) ++key;
  return key;
}

inline bool holds(const tfodl::Store& store, uint16_t slot, uint16_t version) {
  tfodl::StoredRecord record;
  const uint16_t key = key_of(slot);
  if (!store.find(key, static_cast<uint16_t>(slot - kFirstSlot[key]), &record)) return version == 0;
  if (version == 0 || record.bytes != size_of(slot, version)) return false;
  uint8_t some[7];
  uint16_t i = 0;
  while (const uint32_t n = store.read(&record, some, sizeof some)) {
    for (uint32_t j = 0; j < n; ++j, ++i) {
      if (some[j] != byte_of(slot, version, i)) return false;
    }
  }
  return true;
}

inline bool holds(const tfodl::Store& store, const Versions& versions) {
  for (uint16_t slot = 0; slot < kSlots; ++slot) {
    if (!holds(store, slot, versions.of[slot])) return false;
  }
  return true;
}

// The versions of a transaction: some records change, a few go.
inline Versions changed(const Versions& now, uint16_t version, Random& random) {
  Versions next = now;
  const uint32_t n = random.below(8) == 0 ? kSlots : 1 + random.below(6);
  for (uint32_t i = 0; i < n; ++i) next.of[random.below(kSlots)] = random.below(10) ? version : uint16_t{0};
  return next;
}

inline tfodl::StoreStatus write_record(tfodl::Store& store, uint16_t slot, uint16_t version) {
  const uint16_t key = key_of(slot), size = size_of(slot, version);
  const tfodl::StoreStatus status = store.open(key, static_cast<uint16_t>(slot - kFirstSlot[key]), size);
  if (status != tfodl::StoreStatus::kOk) return status;
  for (uint16_t i = 0; i < size; ++i) {
    const uint8_t byte = byte_of(slot, version, i);
    store.append(&byte, 1);
  }
  return store.close();
}

// All of a transaction but its commit.
inline tfodl::StoreStatus write_changes(tfodl::Store& store, const Versions& now, const Versions& next) {
  uint32_t bytes = 0, largest = 0;
  for (uint16_t slot = 0; slot < kSlots; ++slot) {
    const uint32_t size = store.room(size_of(slot, next.of[slot]));
    if (now.of[slot] == next.of[slot]) continue;
    bytes += size;
    if (size > largest) largest = size;
  }
  tfodl::StoreStatus status = store.begin(bytes, largest);
  for (uint16_t slot = 0; slot < kSlots && status == tfodl::StoreStatus::kOk; ++slot) {
    if (now.of[slot] != next.of[slot]) status = write_record(store, slot, next.of[slot]);
  }
  return status;
}

// Looks, before every operation, at what a power cut would leave: a fresh store must find the last committed state.
class WatchedFlash : public Flash {
 public:
  using Flash::Flash;

  void before_operation(uint8_t page, uint32_t at, const uint8_t* unit) override {
    if (!copy) return;
    for (uint8_t left = 0; left < static_cast<uint8_t>(Left::kCount); ++left) {
      memcpy(copy->memory, memory, bytes());
      memcpy(copy->used, used, bytes());
      copy->random.state = random.state + operations;
      copy->interrupt(page, at, unit, static_cast<Left>(left));
      ++cuts;
      if (!survives(left == 0 && operations % 16 == 0)) ++lost;
    }
  }

  Flash* copy = nullptr;  // not before the first commit
  Versions before = {}, after = {};
  bool committing = false;
  uint32_t cuts = 0, lost = 0;

 private:
  bool survives(bool goes_on) {
    uint16_t where[kSlots];
    tfodl::Store store(*copy, kLayout, where);
    if (store.mount() != tfodl::StoreStatus::kOk) return false;
    const bool old = holds(store, before);
    if (!old && !(committing && holds(store, after))) return false;
    return !goes_on || can_go_on(store, old ? before : after);
  }

  // A commit after the cut works, and is found.
  bool can_go_on(tfodl::Store& store, const Versions& found) {
    Versions next = found;
    next.of[operations % kSlots] = 40000;
    if (write_changes(store, found, next) != tfodl::StoreStatus::kOk || store.commit() != tfodl::StoreStatus::kOk) {
      return false;
    }
    return holds(store, next) && store.mount() == tfodl::StoreStatus::kOk && holds(store, next) && !copy->misused;
  }
};

// `commits` transactions, a cut before every operation of each. What went wrong is counted in flash.lost.
inline bool cut_everywhere(WatchedFlash& flash, Flash& copy, uint32_t commits, uint64_t seed) {
  Random random = {seed};
  uint16_t where[kSlots];
  tfodl::Store store(flash, kLayout, where);
  for (uint32_t i = 1; i <= commits; ++i) {
    flash.after = changed(flash.before, static_cast<uint16_t>(i), random);
    if (write_changes(store, flash.before, flash.after) != tfodl::StoreStatus::kOk) return false;
    if (i % 7 == 0) store.tidy();
    flash.committing = true;
    if (store.commit() != tfodl::StoreStatus::kOk || !holds(store, flash.after)) return false;
    flash.committing = false;
    flash.before = flash.after;
    flash.copy = &copy;
  }
  return flash.misused == 0 && copy.misused == 0;
}
