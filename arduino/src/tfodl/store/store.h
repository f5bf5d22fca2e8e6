// Records in flash that survive a power cut: an append-only log on a ring of pages. docs/store.md has the format.
//
// Records are written between begin() and commit(): after a power cut at any moment, either all records of the
// transaction are there or none is. The newest record of a key and index counts. Portable C++14, no allocation.
#ifndef TFODL_STORE_STORE_H
#define TFODL_STORE_STORE_H
#include "tfodl/store/flash_area.h"

namespace tfodl {

enum class StoreStatus : uint8_t {
  kOk = 0,
  kEmpty = 1,        // no log in the area yet
  kForeign = 2,      // a log of another engine, another area or another version; format() starts anew
  kDamaged = 3,      // a committed record is not as it was written; format() starts anew
  kFull = 4,         // no room, even after everything dead was dropped
  kRefused = 5,      // the area says that the supply is too low
  kWriteFailed = 6,  // flash does not hold what was written: worn, perhaps; may be tried again
  kBadRecord = 7,    // key, index or size outside of the layout, or outside of a transaction
};

// Which records there can be: index < first[key + 1] - first[key]. first [keys + 1] rises from 0.
struct StoreLayout {
  uint8_t identity[8];
  const uint16_t* first;
  uint16_t keys;

  uint16_t records() const { return first[keys]; }
};

// The payload of a record, to be read from its start on.
struct StoredRecord {
  uint32_t at;
  uint16_t bytes;
};

class Store {
 public:
  // where [layout.records()] is the store's index in RAM.
  Store(FlashArea& area, const StoreLayout& layout, uint16_t* where);

  // Finds the last committed state and checks every record of it. Writes nothing.
  StoreStatus mount();

  // An empty log, whatever was there before: the factory reset. After a power cut it is done, or not begun.
  StoreStatus format();

  // Mounts, or formats an empty area, if that is not done yet.
  StoreStatus ready();

  // ready(), and makes room for records that take `bytes` in all and `largest` the largest of them, each counted by
  // room().
  StoreStatus begin(uint32_t bytes, uint32_t largest);

  // Bytes of flash that a record with `bytes` of payload takes.
  uint32_t room(uint32_t bytes) const { return aligned(kRecordBytes + bytes); }

  // One record, in parts: open, append `bytes` in all, close. An empty record removes what was there.
  StoreStatus open(uint16_t key, uint16_t index, uint16_t bytes);
  void append(const void* data, uint32_t n);
  StoreStatus close();

  // Whether all records since begin() are safe now. After any error they are not, and begin() starts afresh.
  StoreStatus commit();

  // begin, one record, commit.
  StoreStatus put(uint16_t key, uint16_t index, const void* data, uint16_t bytes);

  // The newest record; false: there is none. Valid until the next begin().
  bool find(uint16_t key, uint16_t index, StoredRecord* record) const;

  // The next n bytes, fewer at the end: how many.
  uint32_t read(StoredRecord* record, void* data, uint32_t n) const;

  // One slice of work that the next commit would wait for; whether there is more. For an idle moment.
  bool tidy();

  uint32_t pages_opened() const { return sequence_; }  // erases so far, of all pages together

 private:
  static constexpr uint32_t kRecordBytes = 12;  // head and CRC-32
  struct Page;  // the head of a page
  struct Head;  // the head of a record
  struct Place {
    uint8_t page;
    uint16_t end;  // grains
  };

  uint32_t aligned(uint32_t n) const { return (n + area_.write_bytes - 1) & ~uint32_t{area_.write_bytes - 1u}; }
  uint32_t start(uint8_t page) const { return page * area_.page_bytes; }
  uint32_t grain() const { return area_.page_bytes > 32768 ? area_.page_bytes / 32768 : 1; }  // bytes, of an end
  uint8_t next(uint8_t page) const { return page + 1 < area_.pages ? static_cast<uint8_t>(page + 1) : uint8_t{0}; }
  uint8_t previous(uint8_t page) const { return static_cast<uint8_t>((page ? page : area_.pages) - 1); }
  uint8_t distance(uint8_t from, uint8_t to) const {
    return static_cast<uint8_t>(to >= from ? to - from : to + area_.pages - from);
  }
  uint8_t free_pages() const { return static_cast<uint8_t>(area_.pages - 1 - distance(oldest_, page_)); }
  uint32_t usable() const;

  uint16_t end_of(uint32_t at, uint8_t page) const { return static_cast<uint16_t>((at - start(page)) / grain()); }

  bool fits() const;
  bool read_page(uint8_t page, Page* head) const;
  bool find_newest(Page* newest, uint8_t* page) const;
  bool own(const Page& head) const;
  uint32_t check(uint8_t page, uint32_t sequence, uint32_t at, Head* head) const;
  void find_last_commit(const Page& newest, uint8_t page);
  bool trace(Page head, uint8_t page, uint16_t* ends) const;
  bool apply(uint8_t page, uint16_t mark);
  bool rebuild(const Page& newest, uint8_t page);
  int32_t slot(uint16_t key, uint16_t index) const;
  uint32_t live_bytes() const;

  StoreStatus compact();
  StoreStatus copy(uint32_t at);
  StoreStatus open_page(uint8_t flags);
  bool start_page(Page head);
  bool erase(uint8_t page);
  void slice(uint8_t page);
  StoreStatus open_record(uint8_t kind, uint16_t key, uint16_t index, uint16_t bytes);
  void write(const void* data, uint32_t n);
  void flush(uint32_t n);
  StoreStatus fail(StoreStatus status);

  FlashArea& area_;
  const StoreLayout& layout_;
  uint16_t* where_;           // of every record: its start in units of write_bytes; 0: none
  uint32_t sequence_ = 0;     // of the newest page
  uint32_t at_ = 0;           // where the next unit is written, bytes from the start of the area
  uint32_t record_ = 0;       // start of the record being written
  uint32_t crc_ = 0;
  uint32_t budget_ = 0;       // bytes that this transaction may still take
  uint32_t largest_ = 0;
  Place accepted_ = {0, 0};   // the end of the last commit
  uint16_t left_ = 0;         // payload bytes still to be appended
  uint16_t slot_ = 0;
  uint8_t page_ = 0;          // the newest
  uint8_t oldest_ = 0;        // the oldest that holds something live
  uint8_t prepared_ = 0xFF;   // a page whose erase has begun in this session
  uint8_t slices_ = 0;        // of that erase
  uint8_t filled_ = 0;        // bytes in unit_
  bool mounted_ = false;
  bool writing_ = false;      // page_ was opened since mount(): only such a page is written to
  uint8_t unit_[kMostWriteBytes];
};

}  // namespace tfodl

#endif  // TFODL_STORE_STORE_H
