// An image that a host writes, piece by piece and in any order. images.h.
#include "tfodl/detail/cold.h"
#include "tfodl/detail/crc32.h"
#include "tfodl/pool/images.h"

namespace tfodl {
namespace {

constexpr uint32_t kWord = 4, kBlank = 0xFFFFFFFF;
constexpr uint32_t kWords = kImageWriteBytes / kWord;

// The word at `from`, of which n bytes are there.
uint32_t load_word(const uint8_t* from, uint32_t n = kWord) {
  uint32_t word = 0;
  memcpy(&word, from, n < kWord ? n : kWord);
  return word;
}

bool all_blank(const uint8_t* there, uint32_t words) {
  for (uint32_t i = 0; i < words; ++i) {
    if (load_word(there + kWord * i) != kBlank) return false;
  }
  return true;
}

// Whether each word is there already, or has a blank one to go to.
bool takes(const uint8_t* there, const uint8_t* from, uint32_t n) {
  for (uint32_t i = 0; i < n; i += kWord) {
    const uint32_t found = load_word(there + i);
    if (found != kBlank && found != load_word(from + i, n - i)) return false;
  }
  return true;
}

// Whether the flash holds them after all. Words that are there are not written again.
bool write_words(FlashArea& area, uint32_t at, const uint8_t* there, const uint32_t* words, uint32_t count) {
  if (all_blank(there, count)) {
    area.write(at, words, kWord * count);
  } else {
    for (uint32_t i = 0; i < count; ++i) {
      if (load_word(there + kWord * i) != words[i]) area.write(at + kWord * i, words + i, kWord);
    }
  }
  area.pause();
  return memcmp(there, words, kWord * count) == 0;
}

}  // namespace

uint32_t tensors_crc(const uint8_t* image, const ImageTensor* tensors, int32_t count) {
  uint32_t crc = 0;
  for (int32_t i = 0; i < count; ++i) crc = crc32(crc, image + tensors[i].at, tensors[i].nbytes);
  return crc;
}

StoreStatus Images::clear() {
  if (!area_->may_write() || area_->write_bytes != kWord) return StoreStatus::kRefused;
  other_whole_ = false;
  const uint32_t first = static_cast<uint32_t>(written() - mapped_) / area_->page_bytes;
  for (uint32_t i = 0; i < pages(); ++i) area_->erase(first + i);
  const bool blank = all_blank(written(), pages() * area_->page_bytes / kWord);
  return blank ? StoreStatus::kOk : StoreStatus::kWriteFailed;
}

StoreStatus Images::put(uint32_t at, const void* data, uint32_t n) {
  const uint8_t *const there = written() + at, *const from = static_cast<const uint8_t*>(data);
  if (!area_->may_write()) return StoreStatus::kRefused;
  if (!takes(there, from, n)) return StoreStatus::kBadRecord;
  const uint32_t start = static_cast<uint32_t>(there - mapped_);
  bool good = true;
  for (uint32_t done = 0; done < n; done += kImageWriteBytes) {
    uint32_t words[kWords], count = 0;
    for (uint32_t i = done; i < n && count < kWords; i += kWord) words[count++] = load_word(from + i, n - i);
    good &= write_words(*area_, start + done, there + done, words, count);
  }
  return good ? StoreStatus::kOk : StoreStatus::kWriteFailed;
}

StoreStatus Images::seal(uint32_t epoch) {
  crc_ = crc32(0, written() + kImageHead, pages() * area_->page_bytes - kImageHead);
  return write_head(epoch);
}

}  // namespace tfodl
