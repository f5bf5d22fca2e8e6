// A partition of an ESP32's flash as a store's area. docs/store.md.
#ifndef TFODL_STORE_PARTITION_FLASH_H
#define TFODL_STORE_PARTITION_FLASH_H
#include "tfodl/store/flash_area.h"

namespace tfodl {

// `pages` sectors of 4 KB of the partition called "tfodl" (the sketch's partitions.csv has it), behind `taken`. A program
// without such a partition, or with one that is too small, says so and stops. An erase takes some 45 ms.
class PartitionFlash : public FlashArea {
 public:
  explicit PartitionFlash(uint8_t pages, void (*between)() = nullptr, uint16_t taken = 0);

  void read(uint32_t at, void* data, uint32_t n) const override;
  void write(uint32_t at, const void* data, uint32_t n) override;
  void erase_slice(uint8_t page) override;
  bool may_write() override { return good_; }
  void pause() override {
    if (between_) between_();
  }
  // The area in the address space; what is written is seen there, too.
  const uint8_t* mapped() const { return mapped_; }

 private:
  const void* partition_;  // an esp_partition_t
  uint32_t start_;         // of the area in it
  const uint8_t* mapped_;
  void (*between_)();
  bool good_ = true;  // no write has failed
};

}  // namespace tfodl

#endif  // TFODL_STORE_PARTITION_FLASH_H
