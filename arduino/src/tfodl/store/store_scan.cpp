// Reading the log: which state was committed last.
#include "tfodl/detail/cold.h"
#include "tfodl/detail/crc32.h"
#include "tfodl/store/format.h"

namespace tfodl {

Store::Store(FlashArea& area, const StoreLayout& layout, uint16_t* where)
    : area_(area), layout_(layout), where_(where) {
  static_assert(sizeof(Page) == kPageHeadBytes && sizeof(Head) == kHeadBytes, "format");
}

bool Store::fits() const {
  return area_.pages >= 4 && area_.pages <= kMostPages && area_.page_bytes >= 256 && area_.page_bytes <= kMostPageBytes &&
         area_.write_bytes >= 2 * grain() && area_.write_bytes <= kMostWriteBytes &&
         start(area_.pages) <= 65536u * area_.write_bytes;
}

uint32_t Store::usable() const { return area_.page_bytes - aligned(kPageHeadBytes) - room(0); }

// A whole head of some log.
bool Store::read_page(uint8_t page, Page* head) const {
  area_.read(start(page), head, sizeof *head);
  return (head->magic ^ kStoreMagic) < 256 && head->crc == crc32(0, head, sizeof *head - 4) &&
         head->sequence < kLastSequence;
}

bool Store::own(const Page& head) const {
  return head.magic == kStoreMagic && memcmp(head.identity, layout_.identity, sizeof head.identity) == 0 &&
         head.pages == area_.pages && head.accepted_page < area_.pages && head.oldest < area_.pages &&
         head.accepted_end * grain() <= area_.page_bytes && head.previous_end * grain() <= area_.page_bytes;
}

bool Store::find_newest(Page* newest, uint8_t* page) const {
  bool found = false;
  for (uint8_t i = 0; i < area_.pages; ++i) {
    Page head;
    if (!read_page(i, &head) || (found && head.sequence <= newest->sequence)) continue;
    *newest = head;
    *page = i;
    found = true;
  }
  return found;
}

// The bytes of the record at `at`; 0: there is no whole record.
uint32_t Store::check(uint8_t page, uint32_t sequence, uint32_t at, Head* head) const {
  const uint32_t end = start(page) + area_.page_bytes;
  if (at + room(0) > end) return 0;
  area_.read(at, head, sizeof *head);
  const uint32_t size = room(head->bytes);
  const bool commit = head->kind == kCommit && head->bytes == 0 && head->key < area_.pages;
  if ((!commit && head->kind != kData) || at + size > end) return 0;
  StoredRecord rest = {at + kHeadBytes, head->bytes};
  uint32_t crc = crc32(sequence, head, sizeof *head);
  uint8_t some[64];
  while (const uint32_t n = read(&rest, some, sizeof some)) crc = crc32(crc, some, n);
  uint32_t expected;
  area_.read(rest.at, &expected, sizeof expected);
  return crc == expected ? size : 0;
}

// Sets accepted_ and oldest_. What follows the first record that is not whole was never committed.
void Store::find_last_commit(const Page& newest, uint8_t page) {
  const uint32_t begin = aligned(kPageHeadBytes);
  accepted_ = {newest.accepted_page, newest.accepted_end};
  if (newest.flags & kFirst) accepted_ = {page, static_cast<uint16_t>(begin / grain())};
  oldest_ = newest.oldest;
  uint32_t at = start(page) + begin;
  Head head;
  while (const uint32_t size = check(page, newest.sequence, at, &head)) {
    at += size;
    if (head.kind != kCommit) continue;
    accepted_ = {page, end_of(at, page)};
    oldest_ = static_cast<uint8_t>(head.key);
  }
}

// Walks back from the newest page: ends[i] is where what was committed in page i ends, 0: nothing was. A page links
// to the last commit before it; what lies between is dead, unless the page goes on with it and commits it.
bool Store::trace(Page head, uint8_t page, uint16_t* ends) const {
  const uint8_t newest = page, depth = distance(oldest_, newest);
  if (accepted_.page == page) ends[page] = accepted_.end | kCommitted;
  for (uint8_t age = 0; age < depth;) {
    const bool whole = (head.flags & kContinues) && ends[page] != 0;
    const uint8_t target = whole ? previous(page) : head.accepted_page;
    const uint8_t target_age = distance(target, newest);
    if (head.flags & kFirst) return false;
    if (target_age <= age || target_age > depth) return true;  // before the oldest, perhaps reused
    ends[target] = whole ? head.previous_end : head.accepted_end | kCommitted;
    const uint32_t sequence = head.sequence;
    if (!read_page(target, &head) || !own(head) || head.sequence >= sequence) return false;
    page = target;
    age = target_age;
  }
  return true;
}

// Takes over the records of a page. A commit at its end is taken on trust: whoever set that end saw it whole, and a
// unit whose write was cut may read differently now.
bool Store::apply(uint8_t page, uint16_t mark) {
  const uint32_t end = start(page) + (mark & ~kCommitted) * grain();
  uint32_t sequence;
  area_.read(start(page) + 12, &sequence, sizeof sequence);
  uint32_t at = start(page) + aligned(kPageHeadBytes);
  while (at < end) {
    Head head;
    if ((mark & kCommitted) && at + room(0) == end) return true;
    const uint32_t size = check(page, sequence, at, &head);
    if (size == 0) return false;
    if (head.kind == kData) {
      const int32_t i = slot(head.key, head.index);
      if (i < 0) return false;
      where_[i] = head.bytes ? static_cast<uint16_t>(at / area_.write_bytes) : uint16_t{0};
    }
    at += size;
  }
  return at == end;
}

bool Store::rebuild(const Page& newest, uint8_t page) {
  uint16_t ends[kMostPages] = {};
  memset(where_, 0, layout_.records() * sizeof *where_);
  if (!trace(newest, page, ends)) return false;
  for (uint8_t i = oldest_;; i = next(i)) {
    if (ends[i] && !apply(i, ends[i])) return false;
    if (i == page) return true;
  }
}

StoreStatus Store::mount() {
  mounted_ = writing_ = false;
  prepared_ = 0xFF;
  sequence_ = 0;
  page_ = static_cast<uint8_t>(area_.pages - 1);
  if (!fits()) return StoreStatus::kFull;
  Page newest;
  if (!find_newest(&newest, &page_)) return StoreStatus::kEmpty;
  sequence_ = newest.sequence;
  if (!own(newest)) return StoreStatus::kForeign;
  find_last_commit(newest, page_);
  if (!rebuild(newest, page_)) return StoreStatus::kDamaged;
  mounted_ = true;
  return StoreStatus::kOk;
}

int32_t Store::slot(uint16_t key, uint16_t index) const {
  if (key >= layout_.keys || index >= layout_.first[key + 1] - layout_.first[key]) return -1;
  return layout_.first[key] + index;
}

bool Store::find(uint16_t key, uint16_t index, StoredRecord* record) const {
  const int32_t i = slot(key, index);
  if (!mounted_ || i < 0 || where_[i] == 0) return false;
  const uint32_t at = uint32_t{where_[i]} * area_.write_bytes;
  area_.read(at, &record->bytes, sizeof record->bytes);
  record->at = at + kHeadBytes;
  return record->bytes <= usable();
}

uint32_t Store::read(StoredRecord* record, void* data, uint32_t n) const {
  if (n > record->bytes) n = record->bytes;
  area_.read(record->at, data, n);
  record->at += n;
  record->bytes = static_cast<uint16_t>(record->bytes - n);
  return n;
}

// Of all records, without the room that page ends waste.
uint32_t Store::live_bytes() const {
  uint32_t bytes = 0;
  for (uint16_t i = 0; i < layout_.records(); ++i) {
    uint16_t payload;
    if (where_[i] == 0) continue;
    area_.read(uint32_t{where_[i]} * area_.write_bytes, &payload, sizeof payload);
    bytes += room(payload);
  }
  return bytes;
}

}  // namespace tfodl
