#include "tfodl/pool/images.h"

#include "tfodl/detail/cold.h"
#include "tfodl/detail/crc32.h"

namespace tfodl {

struct Images::Head {
  uint32_t magic;
  uint8_t identity[8];
  uint32_t bytes, sequence, epoch;
  uint32_t data_crc, reserved[4];
  uint32_t crc;  // of all before it
};

namespace {

constexpr uint32_t kMagic = 0x4D495401;  // "TIM", version 1

}  // namespace

bool Images::read_head(int32_t i, Head* head) const {
  static_assert(sizeof(Head) == kImageHead, "no padding");
  memcpy(head, start(i), sizeof *head);
  return head->magic == kMagic && crc32(0, head, kImageHead - 4) == head->crc;
}

bool Images::is_whole(int32_t i, const Head& head) const {
  const uint32_t all = pages() * area_->page_bytes;
  return head.bytes == bytes_ && memcmp(head.identity, identity_, 8) == 0 &&
         crc32(0, start(i) + kImageHead, all - kImageHead) == head.data_crc;
}

StoreStatus Images::open(FlashArea& area, const uint8_t* mapped) {
  area_ = &area;
  mapped_ = mapped;
  newest_ = -1;
  sequence_ = epoch_ = 0;
  usable_ = false;
  if (area.pages < 2 * pages()) return StoreStatus::kFull;
  bool foreign = false, whole[2];
  for (int32_t i = 0; i < 2; ++i) {
    Head head;
    const bool is_head = read_head(i, &head);
    whole[i] = is_head && is_whole(i, head);
    foreign |= is_head && memcmp(head.identity, identity_, 8) != 0;
    if (whole[i] && (newest_ < 0 || head.sequence > sequence_)) {
      newest_ = i;
      sequence_ = head.sequence;
      epoch_ = head.epoch;
    }
  }
  other_whole_ = newest_ >= 0 && whole[1 - newest_];
  usable_ = newest_ >= 0 || !foreign;
  return newest_ >= 0 ? StoreStatus::kOk : foreign ? StoreStatus::kForeign : StoreStatus::kEmpty;
}

StoreStatus Images::begin(uint8_t* page) {
  if (!area_->may_write()) return StoreStatus::kRefused;
  page_ = page;
  at_ = kImageHead;
  crc_ = 0;
  failed_ = false;
  memset(page_, 0xFF, area_->page_bytes);
  return StoreStatus::kOk;
}

void Images::append(const void* data, uint32_t n) {
  const uint8_t* from = static_cast<const uint8_t*>(data);
  const uint32_t size = area_->page_bytes;
  while (n > 0) {
    if (at_ % size == 0) memset(page_, 0xFF, size);
    const uint32_t room = size - at_ % size, part = n < room ? n : room;
    memcpy(page_ + at_ % size, from, part);
    at_ += part, from += part, n -= part;
    if (at_ % size == 0) write_page();
  }
}

StoreStatus Images::flush() {
  const uint32_t size = area_->page_bytes;
  if (at_ % size != 0) {
    at_ += size - at_ % size;
    write_page();
  }
  if (failed_) other_whole_ = false;
  return failed_ ? StoreStatus::kWriteFailed : StoreStatus::kOk;
}

// The page that ends at at_. What an image had there stays when it is the same and was committed.
void Images::write_page() {
  const uint32_t size = area_->page_bytes, first = at_ - size, head = first == 0 ? kImageHead : 0;
  const uint8_t* const there = written() + first;
  crc_ = crc32(crc_, page_ + head, size - head);
  if (first != 0 && other_whole_ && memcmp(there, page_, size) == 0) return;
  const uint32_t at = static_cast<uint32_t>(there - mapped_);
  area_->erase(at / size);
  for (uint32_t i = head; i < size; i += kImageWriteBytes) {
    area_->write(at + i, page_ + i, size - i < kImageWriteBytes ? size - i : kImageWriteBytes);
    area_->pause();
  }
  failed_ |= memcmp(there + head, page_ + head, size - head) != 0;
}

StoreStatus Images::commit(uint32_t epoch) {
  const StoreStatus status = flush();
  if (status != StoreStatus::kOk) return status;
  return at_ == pages() * area_->page_bytes ? write_head(epoch) : StoreStatus::kBadRecord;
}

// From here on the image that was written, whose checksum is crc_, is the newest.
StoreStatus Images::write_head(uint32_t epoch) {
  const uint8_t* const image = written();
  Head head = {kMagic, {}, bytes_, sequence_ + 1, epoch, crc_, {0, 0, 0, 0}, 0};
  memcpy(head.identity, identity_, 8);
  head.crc = crc32(0, &head, kImageHead - 4);
  const int32_t i = newest_ < 0 ? 0 : 1 - newest_;
  area_->write(static_cast<uint32_t>(image - mapped_), &head, kImageHead);
  Head found;
  if (!read_head(i, &found) || memcmp(&found, &head, kImageHead) != 0) {
    other_whole_ = false;
    return StoreStatus::kWriteFailed;
  }
  other_whole_ = newest_ >= 0;
  newest_ = i;
  sequence_ = head.sequence;
  epoch_ = epoch;
  return StoreStatus::kOk;
}

StoreStatus Images::format() {
  if (area_ == nullptr || area_->pages < 2 * pages()) return StoreStatus::kFull;
  if (!area_->may_write()) return StoreStatus::kRefused;
  // The older one first: a power cut between leaves the newest, or nothing.
  for (int32_t k = 0; k < 2; ++k) {
    const int32_t i = newest_ < 0 ? k : k == 0 ? 1 - newest_ : newest_;
    area_->erase(uint32_t(i) * pages());
  }
  newest_ = -1;
  sequence_ = epoch_ = 0;
  other_whole_ = false;
  usable_ = true;
  return StoreStatus::kOk;
}

}  // namespace tfodl
