// The store on the RP2040's flash driver, whose SDK is played on the host.
#include <Arduino.h>
#include <hardware/flash.h>

#include "area_test.h"
#include "tfodl/store/sketch_flash.h"

#if defined(ARDUINO_ARCH_MBED)
constexpr uint32_t kBytes = 16 << 20, kFileSystem = 15 << 20, kPages = 8, kReaching = 64;
#define BINARY_END "15500000"
#else
constexpr uint32_t kBytes = 256 * 1024, kFileSystem = kBytes - 5 * FLASH_SECTOR_SIZE, kPages = 8, kReaching = 48;
#define BINARY_END "65536"
#endif
alignas(FLASH_SECTOR_SIZE) uint8_t flash_memory[kBytes];
Played rp2040;

// The linker script's: a file system of four sectors and the EEPROM at the end; the program at the start.
__asm__(".globl _FS_start\n.set _FS_start, flash_memory + 241664\n"
        ".globl __flash_binary_end\n.set __flash_binary_end, flash_memory + " BINARY_END "\n");
static_assert(kFileSystem == 241664 || kFileSystem == 0xF00000, "the number above; the driver's");

void flash_range_erase(uint32_t offset, size_t count) {
  const bool ours = offset >= kFileSystem - kPages * FLASH_SECTOR_SIZE && offset + count <= kFileSystem;
  rp2040.wrong += offset % FLASH_SECTOR_SIZE || count % FLASH_SECTOR_SIZE || !ours || !rp2040.alone();
  memset(flash_memory + offset, 0xFF, count);
  ++rp2040.erased;
}

void flash_range_program(uint32_t offset, const uint8_t* data, size_t count) {
  const bool ours = offset >= kFileSystem - kPages * FLASH_SECTOR_SIZE && offset + count <= kFileSystem;
  rp2040.wrong += offset % FLASH_PAGE_SIZE || count % FLASH_PAGE_SIZE || !ours || !rp2040.alone();
  for (size_t i = 0; i < count; ++i) flash_memory[offset + i] &= data[i];
  ++rp2040.written;
}

int main() {
  memset(flash_memory, 0xFF, sizeof flash_memory);
#if defined(ARDUINO_ARCH_MBED)
  rp2040.other_core = false;
#endif
  static uint32_t pauses = 0;
  tfodl::SketchFlash area(kPages, [] { ++pauses; }), reaching(kReaching, nullptr);
  const uint16_t first[] = {0, 1};
  const tfodl::StoreLayout layout = {{1}, first, 1};
  uint16_t where[1];
  tfodl::Store store(reaching, layout, where);
  require(area.may_write() && !reaching.may_write(), "the program's end");
  require(store.put(0, 0, first, 4) == tfodl::StoreStatus::kRefused, "into the program");
  try_area(area, area.mapped());
  const tfodl::SketchFlash before(4, nullptr, kPages);
  require(before.mapped() + 4 * FLASH_SECTOR_SIZE == area.mapped(), "another engine's area lies before");
  printf("wrong %u\nerased %u\nwritten %u\npauses %u\n", rp2040.wrong, rp2040.erased, rp2040.written, pauses);
  return 0;
}
