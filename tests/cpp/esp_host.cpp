// The store on a partition of an ESP32, whose IDF is played on the host. argv: the partition's name and pages.
#include <esp_partition.h>
#include <esp_system.h>

#include "area_test.h"
#include "tfodl/store/sketch_flash.h"

static uint8_t memory[64 * 4096];
static esp_partition_t partition;
static bool fails = false;

void esp_system_abort(const char* details) {
  fprintf(stderr, "%s\n", details);
  exit(3);
}

const esp_partition_t* esp_partition_find_first(esp_partition_type_t, esp_partition_subtype_t, const char* label) {
  return strcmp(label, partition.label) == 0 ? &partition : nullptr;
}

static bool within(size_t offset, size_t size) { return offset <= partition.size && size <= partition.size - offset; }

esp_err_t esp_partition_mmap(const esp_partition_t*, size_t offset, size_t size, esp_partition_mmap_memory_t,
                             const void** out, esp_partition_mmap_handle_t* handle) {
  *out = memory + offset;
  *handle = 1;
  return within(offset, size) ? ESP_OK : ESP_FAIL;
}

esp_err_t esp_partition_read(const esp_partition_t*, size_t offset, void* data, size_t size) {
  require(within(offset, size), "a read within the partition");
  memcpy(data, memory + offset, size);
  return ESP_OK;
}

esp_err_t esp_partition_write(const esp_partition_t*, size_t offset, const void* data, size_t size) {
  require(within(offset, size), "a write within the partition");
  for (size_t i = 0; i < size; ++i) memory[offset + i] &= static_cast<const uint8_t*>(data)[i];
  return fails ? ESP_FAIL : ESP_OK;
}

esp_err_t esp_partition_erase_range(const esp_partition_t*, size_t offset, size_t size) {
  require(within(offset, size) && offset % 4096 == 0 && size % 4096 == 0, "whole sectors");
  memset(memory + offset, 0xFF, size);
  return ESP_OK;
}

int main(int, char** argv) {
  partition = {static_cast<uint32_t>(4096 * atoi(argv[2])), argv[1]};
  memset(memory, 0xFF, sizeof memory);
  static tfodl::SketchFlash area(8, nullptr);
  try_area(area, area.mapped(), [] {
    fails = true;
    const uint8_t nothing[4] = {0xFF, 0xFF, 0xFF, 0xFF};
    area.write(0, nothing, sizeof nothing);
  });
  if (partition.size > 8 * 4096) {
    tfodl::SketchFlash behind(1, nullptr, 8);
    const uint32_t word = 0x12345678;
    fails = false;
    behind.erase_slice(0);
    behind.write(4, &word, sizeof word);
    require(behind.mapped() == memory + 8 * 4096 && memcmp(memory + 8 * 4096 + 4, &word, 4) == 0, "behind another");
  }
  printf("tried 1\n");
  return 0;
}
