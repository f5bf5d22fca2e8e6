#if defined(ARDUINO_ARCH_RP2040) && (!defined(ARDUINO_ARCH_MBED) || defined(ARDUINO_NANO_RP2040_CONNECT))
#include "tfodl/store/pico_flash.h"

#include <Arduino.h>
#include <hardware/flash.h>

extern "C" {
extern uint8_t _FS_start, __flash_binary_end;  // of the core's linker script
}

namespace tfodl {
namespace {

#if defined(ARDUINO_ARCH_MBED)
constexpr uint32_t kEnd = 0xF00000;  // the last of 16 MB are the file system's that the core's updater uses

const uint8_t* area_end() { return reinterpret_cast<const uint8_t*>(XIP_BASE) + kEnd; }
void stop_other_core() {}  // this core runs one
void start_other_core() {}
#else
const uint8_t* area_end() { return &_FS_start; }
void stop_other_core() { rp2040.idleOtherCore(); }
void start_other_core() { rp2040.resumeOtherCore(); }
#endif

constexpr uint32_t kSector = FLASH_SECTOR_SIZE, kPage = FLASH_PAGE_SIZE;

// While it lives nothing runs from flash.
class Alone {
 public:
  Alone() {
    noInterrupts();
    stop_other_core();
  }
  ~Alone() {
    start_other_core();
    interrupts();
  }
  Alone(const Alone&) = delete;
  Alone& operator=(const Alone&) = delete;
};

uint32_t offset(const uint8_t* address) { return static_cast<uint32_t>(reinterpret_cast<uintptr_t>(address) - XIP_BASE); }

}  // namespace

PicoFlash::PicoFlash(uint8_t page_count, void (*between)(), uint16_t taken)
    : FlashArea(kSector, page_count, 4, 1),
      start_(area_end() - kSector * (uint32_t{page_count} + taken)),
      between_(between) {}

bool PicoFlash::may_write() { return &__flash_binary_end <= start_; }

// A page of 256 bytes at a time; bytes of 0xFF leave what is there.
void PicoFlash::write(uint32_t at, const void* data, uint32_t n) {
  const uint8_t* from = static_cast<const uint8_t*>(data);
  while (n > 0) {
    uint8_t page[kPage];
    memset(page, 0xFF, sizeof page);
    const uint32_t first = at % kPage, count = n < kPage - first ? n : kPage - first;
    memcpy(page + first, from, count);
    {
      const Alone alone;
      flash_range_program(offset(start_ + at - first), page, kPage);
    }
    at += count;
    from += count;
    n -= count;
  }
}

void PicoFlash::erase_slice(uint8_t page) {
  const Alone alone;
  flash_range_erase(offset(start_ + kSector * page), kSector);
}

}  // namespace tfodl
#endif
