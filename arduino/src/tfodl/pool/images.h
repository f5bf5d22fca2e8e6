// Two images of all that an engine learns, in flash: the newest, and last epoch's. docs/choosing.md of tfodl.
//
// An image is written where the older one lies; its head, with the checksums, comes last. So a power cut at any moment
// leaves the newest image as it was. Images are read in place: the area must lie in the address space.
#ifndef TFODL_POOL_IMAGES_H
#define TFODL_POOL_IMAGES_H
#include "tfodl/store/store.h"

namespace tfodl {

class Images {
 public:
  // bytes: of an image, its head too; identity [8]: of the engine.
  constexpr Images(uint32_t bytes, const uint8_t* identity) : bytes_(bytes), identity_(identity) {}

  // Finds the newest image. mapped: where the area's first byte is in memory. Writes nothing.
  StoreStatus open(FlashArea& area, const uint8_t* mapped);
  bool opened() const { return usable_; }

  // An area without images, whatever was there before; open() it first.
  StoreStatus format();

  // The newest image; null: there is none. Its epoch.
  const uint8_t* newest() const { return newest_ < 0 ? nullptr : start(newest_); }
  uint32_t epoch() const { return epoch_; }

  // A new image: begin, append all bytes behind the head, commit. page [page_bytes] is the caller's, and free between
  // flush() and the next append().
  StoreStatus begin(uint8_t* page);
  void append(const void* data, uint32_t n);
  StoreStatus flush();  // fills the page up; whether flash holds all that was appended
  StoreStatus commit(uint32_t epoch);

  // Or in place, bytes in any order and each once: clear, put what is behind the head, seal. clear() leaves the newest
  // image alone, and so does all that follows until seal() is through. put: from `at` on, a multiple of 4; the last word
  // is filled up with 0. The same bytes again change nothing, others there are kBadRecord; n > 0.
  StoreStatus clear();
  StoreStatus put(uint32_t at, const void* data, uint32_t n);
  StoreStatus seal(uint32_t epoch);

  // The image that is being written: what flush() or put() found good there can be read.
  const uint8_t* written() const { return start(1 - (newest_ < 0 ? 1 : newest_)); }

 private:
  struct Head;
  const uint8_t* start(int32_t i) const { return mapped_ + uint32_t(i) * pages() * area_->page_bytes; }
  uint32_t pages() const { return (bytes_ + area_->page_bytes - 1) / area_->page_bytes; }
  bool read_head(int32_t i, Head* head) const;
  bool is_whole(int32_t i, const Head& head) const;
  void write_page();
  StoreStatus write_head(uint32_t epoch);

  uint32_t bytes_;
  const uint8_t* identity_;
  FlashArea* area_ = nullptr;
  const uint8_t* mapped_ = nullptr;
  uint8_t* page_ = nullptr;
  uint32_t sequence_ = 0, epoch_ = 0;
  uint32_t at_ = 0, crc_ = 0;    // of the image that is being written
  int32_t newest_ = -1;
  bool usable_ = false;
  bool failed_ = false;          // a page does not hold what was written
  bool other_whole_ = false;     // pages of the older image may stay where they hold what is wanted
};

constexpr uint32_t kImageHead = 48;        // bytes before the data
constexpr uint32_t kImageWriteBytes = 64;  // between two pauses

// A tensor in an image, whole.
struct ImageTensor {
  const char* name;  // the tensor's name in the .tflite
  uint32_t at;       // bytes from the image's start
  uint32_t nbytes : 31;
  uint32_t is_bias : 1;
};

// CRC-32 of tensors, one behind the other.
uint32_t tensors_crc(const uint8_t* image, const ImageTensor* tensors, int32_t count);

}  // namespace tfodl

#endif  // TFODL_POOL_IMAGES_H
