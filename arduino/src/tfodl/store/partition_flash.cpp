#if defined(ESP_PLATFORM)
#include "tfodl/store/partition_flash.h"

#include <esp_partition.h>
#include <esp_system.h>

namespace tfodl {
namespace {

constexpr uint16_t kSector = 4096;

const esp_partition_t* as_partition(const void* p) { return static_cast<const esp_partition_t*>(p); }

const esp_partition_t* find(uint32_t bytes) {
  const esp_partition_t* found = esp_partition_find_first(ESP_PARTITION_TYPE_ANY, ESP_PARTITION_SUBTYPE_ANY, "tfodl");
  if (!found || found->size < bytes) {
    esp_system_abort("tfodl: no partition \"tfodl\", or too small a one; put the library's partitions.csv beside the sketch");
  }
  return found;
}

const uint8_t* map(const esp_partition_t* partition, uint32_t start, uint32_t bytes) {
  const void* mapped = nullptr;
  esp_partition_mmap_handle_t handle;
  if (esp_partition_mmap(partition, start, bytes, ESP_PARTITION_MMAP_DATA, &mapped, &handle) != ESP_OK) {
    esp_system_abort("tfodl: the partition \"tfodl\" could not be mapped");
  }
  return static_cast<const uint8_t*>(mapped);
}

}  // namespace

PartitionFlash::PartitionFlash(uint8_t page_count, void (*between)(), uint16_t taken)
    : FlashArea(kSector, page_count, 4, 1),
      partition_(find(kSector * (uint32_t{page_count} + taken))),
      start_(uint32_t{kSector} * taken),
      mapped_(map(as_partition(partition_), start_, uint32_t{kSector} * page_count)),
      between_(between) {}

void PartitionFlash::read(uint32_t at, void* data, uint32_t n) const {
  if (esp_partition_read(as_partition(partition_), start_ + at, data, n) != ESP_OK) memset(data, 0xFF, n);
}

void PartitionFlash::write(uint32_t at, const void* data, uint32_t n) {
  good_ = esp_partition_write(as_partition(partition_), start_ + at, data, n) == ESP_OK && good_;
}

void PartitionFlash::erase_slice(uint8_t page) {
  good_ = esp_partition_erase_range(as_partition(partition_), start_ + uint32_t{kSector} * page, kSector) == ESP_OK && good_;
}

}  // namespace tfodl
#endif
