// ESP-IDF's partitions, played: one, whose name and size a program sets.
#pragma once
#include <stddef.h>
#include <stdint.h>

typedef int esp_err_t;
enum { ESP_OK = 0, ESP_FAIL = -1 };
enum esp_partition_type_t { ESP_PARTITION_TYPE_ANY = 0xFF };
enum esp_partition_subtype_t { ESP_PARTITION_SUBTYPE_ANY = 0xFF };
enum esp_partition_mmap_memory_t { ESP_PARTITION_MMAP_DATA };
typedef uint32_t esp_partition_mmap_handle_t;
struct esp_partition_t {
  uint32_t size;
  const char* label;
};
extern "C" {
const esp_partition_t* esp_partition_find_first(esp_partition_type_t, esp_partition_subtype_t, const char* label);
esp_err_t esp_partition_mmap(const esp_partition_t*, size_t offset, size_t size, esp_partition_mmap_memory_t,
                             const void** out, esp_partition_mmap_handle_t*);
esp_err_t esp_partition_read(const esp_partition_t*, size_t offset, void* data, size_t size);
esp_err_t esp_partition_write(const esp_partition_t*, size_t offset, const void* data, size_t size);
esp_err_t esp_partition_erase_range(const esp_partition_t*, size_t offset, size_t size);
}
