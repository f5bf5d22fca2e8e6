// Writing the log. Order is everything: nothing is erased before what replaces it is committed, and a page is written
// to in the session only that opened it, so that no word is ever written over what a power cut left.
#include "tfodl/detail/cold.h"
#include "tfodl/detail/crc32.h"
#include "tfodl/store/format.h"

namespace tfodl {

StoreStatus Store::fail(StoreStatus status) {
  mounted_ = false;
  budget_ = 0;
  return status;
}

StoreStatus Store::format() {
  mount();
  if (!fits()) return StoreStatus::kFull;
  if (!area_.may_write()) return StoreStatus::kRefused;
  memset(where_, 0, layout_.records() * sizeof *where_);
  const StoreStatus status = open_page(kFirst);
  if (status != StoreStatus::kOk) return status;
  oldest_ = page_;
  accepted_ = {page_, end_of(at_, page_)};
  mounted_ = true;
  return status;
}

StoreStatus Store::ready() {
  if (mounted_) return StoreStatus::kOk;
  const StoreStatus status = mount();
  return status == StoreStatus::kEmpty ? format() : status;
}

StoreStatus Store::begin(uint32_t bytes, uint32_t largest) {
  const StoreStatus mounted = ready();
  if (mounted != StoreStatus::kOk) return mounted;
  if (!area_.may_write()) return StoreStatus::kRefused;
  // Two pages one after the other are at least half full together; so is every page where all records are small.
  const uint32_t small = usable() / 2, page = largest < small ? usable() - largest : small;
  // One more for the next compaction, and one that what only removes may use, so that a full store can be relieved.
  const uint32_t wanted = bytes / page + (largest > room(0) ? 3 : 2);
  if (largest > usable() || wanted >= area_.pages) return StoreStatus::kFull;
  if (live_bytes() > (area_.pages - wanted) * usable()) return StoreStatus::kFull;
  for (uint32_t round = 0; free_pages() < wanted; ++round) {
    const StoreStatus status = round < 2u * area_.pages ? compact() : StoreStatus::kFull;
    if (status != StoreStatus::kOk) return status;
  }
  budget_ = bytes;
  largest_ = largest;
  return StoreStatus::kOk;
}

// Frees the oldest page: what is live in it goes to the end of the log.
StoreStatus Store::compact() {
  if (oldest_ == page_) return StoreStatus::kFull;
  const uint32_t from = start(oldest_), to = from + area_.page_bytes;
  for (uint16_t i = 0; i < layout_.records(); ++i) {
    const uint32_t at = uint32_t{where_[i]} * area_.write_bytes;
    if (at < from || at >= to || where_[i] == 0) continue;
    slot_ = i;
    const StoreStatus status = copy(at);
    if (status != StoreStatus::kOk) return status;
  }
  oldest_ = next(oldest_);
  return commit();
}

StoreStatus Store::copy(uint32_t at) {
  uint32_t sequence;
  Head head;
  area_.read(start(oldest_) + 12, &sequence, sizeof sequence);
  if (check(oldest_, sequence, at, &head) == 0) return fail(StoreStatus::kDamaged);
  const StoreStatus status = open_record(kData, head.key, head.index, head.bytes);
  if (status != StoreStatus::kOk) return status;
  StoredRecord rest = {at + kHeadBytes, head.bytes};
  uint8_t some[16];
  while (const uint32_t n = read(&rest, some, sizeof some)) append(some, n);
  return close();
}

// The next page in the ring becomes the newest.
StoreStatus Store::open_page(uint8_t flags) {
  const uint16_t end = flags & kContinues ? end_of(at_, page_) : uint16_t{0};
  Page head = {kStoreMagic, {}, 0, accepted_.end, end, accepted_.page, oldest_, flags, area_.pages, 0};
  memcpy(head.identity, layout_.identity, sizeof head.identity);
  const bool first = flags & kFirst;
  // Power cuts have used up all free pages: the newest, in which nothing was committed, is opened again.
  if (!writing_ && !first && free_pages() == 0 && page_ != accepted_.page) page_ = previous(page_);
  for (uint8_t tries = 0; tries < area_.pages; ++tries) {
    if (!first && free_pages() == 0) return fail(StoreStatus::kFull);
    page_ = next(page_);
    head.sequence = ++sequence_;
    if (first) head.oldest = page_;
    if (start_page(head)) return StoreStatus::kOk;
    if (flags & kContinues) break;  // its pages are in a row
  }
  return fail(StoreStatus::kWriteFailed);
}

bool Store::start_page(Page head) {
  if (!erase(page_)) return false;
  head.crc = crc32(0, &head, sizeof head - 4);
  uint8_t padded[32];
  memset(padded, 0xFF, sizeof padded);
  memcpy(padded, &head, sizeof head);
  area_.write(start(page_), padded, aligned(kPageHeadBytes));
  area_.pause();
  Page written;
  if (!read_page(page_, &written) || written.crc != head.crc) return false;
  at_ = start(page_) + aligned(kPageHeadBytes);
  writing_ = true;
  return true;
}

// Erases the rest of the page, and looks.
bool Store::erase(uint8_t page) {
  while (prepared_ != page || slices_ < area_.erase_slices) {
    slice(page);
    area_.pause();
  }
  prepared_ = 0xFF;
  for (uint32_t at = start(page); at < start(page) + area_.page_bytes; at += 16) {
    uint32_t words[4];
    area_.read(at, words, sizeof words);
    if ((words[0] & words[1] & words[2] & words[3]) != 0xFFFFFFFFu) return false;
  }
  return true;
}

void Store::slice(uint8_t page) {
  if (prepared_ != page) slices_ = 0;
  prepared_ = page;
  area_.erase_slice(page);
  ++slices_;
}

bool Store::tidy() {
  if (!mounted_ || free_pages() == 0 || !area_.may_write()) return false;
  const uint8_t page = next(page_);
  if (prepared_ == page && slices_ == area_.erase_slices) return false;
  slice(page);
  return slices_ < area_.erase_slices;
}

StoreStatus Store::open(uint16_t key, uint16_t index, uint16_t bytes) {
  const int32_t i = slot(key, index);
  const uint32_t size = room(bytes);
  if (!mounted_ || i < 0 || size > largest_ || size > budget_) return fail(StoreStatus::kBadRecord);
  budget_ -= size;
  slot_ = static_cast<uint16_t>(i);
  return open_record(kData, key, index, bytes);
}

// Behind every record there is room for a commit.
StoreStatus Store::open_record(uint8_t kind, uint16_t key, uint16_t index, uint16_t bytes) {
  const uint32_t behind = kind == kCommit ? 0 : room(0);
  if (!writing_ || at_ + room(bytes) + behind > start(page_) + area_.page_bytes) {
    const StoreStatus status = open_page(writing_ ? kContinues : uint8_t{0});
    if (status != StoreStatus::kOk) return status;
  }
  record_ = at_;
  crc_ = sequence_;
  filled_ = 0;
  left_ = bytes;
  const Head head = {bytes, kind, 0, key, index};
  write(&head, sizeof head);
  return StoreStatus::kOk;
}

void Store::append(const void* data, uint32_t n) {
  if (!mounted_ || n > left_) {
    fail(StoreStatus::kBadRecord);
    return;
  }
  left_ = static_cast<uint16_t>(left_ - n);
  write(data, n);
}

void Store::write(const void* data, uint32_t n) {
  crc_ = crc32(crc_, data, n);
  const uint8_t* bytes = static_cast<const uint8_t*>(data);
  const uint8_t whole = area_.write_bytes > 16 ? area_.write_bytes : 16;
  for (uint32_t i = 0; i < n; ++i) {
    unit_[filled_++] = bytes[i];
    if (filled_ == whole) flush(whole);
  }
}

void Store::flush(uint32_t n) {
  area_.write(at_, unit_, n);
  at_ += n;
  filled_ = 0;
}

StoreStatus Store::close() {
  if (!mounted_ || left_ != 0) return fail(StoreStatus::kBadRecord);
  const uint32_t crc = crc_;
  write(&crc, sizeof crc);
  const uint32_t rest = aligned(filled_);
  memset(unit_ + filled_, 0xFF, rest - filled_);
  if (rest) flush(rest);
  area_.pause();
  Head head;
  if (check(page_, sequence_, record_, &head) == 0) return fail(StoreStatus::kWriteFailed);
  if (head.kind == kData) where_[slot_] = head.bytes ? static_cast<uint16_t>(record_ / area_.write_bytes) : uint16_t{0};
  return StoreStatus::kOk;
}

StoreStatus Store::commit() {
  if (!mounted_) return fail(StoreStatus::kBadRecord);
  StoreStatus status = open_record(kCommit, oldest_, 0, 0);
  if (status == StoreStatus::kOk) status = close();
  if (status != StoreStatus::kOk) return status;
  budget_ = 0;
  accepted_ = {page_, end_of(at_, page_)};
  return status;
}

StoreStatus Store::put(uint16_t key, uint16_t index, const void* data, uint16_t bytes) {
  StoreStatus status = begin(room(bytes), room(bytes));
  if (status == StoreStatus::kOk) status = open(key, index, bytes);
  if (status != StoreStatus::kOk) return status;
  append(data, bytes);
  status = close();
  return status == StoreStatus::kOk ? commit() : status;
}

}  // namespace tfodl
