// Where a sketch keeps what its engine learned: the last pages of the flash that are the sketch's, or a partition.
// taken: pages of that flash that other engines of the sketch have; this one's come before them.
#ifndef TFODL_STORE_SKETCH_FLASH_H
#define TFODL_STORE_SKETCH_FLASH_H
#include "tfodl/store/flash_area.h"

#if defined(TFODL_HOST)  // a sketch that runs on a computer

namespace tfodl {

uint8_t* host_flash(uint32_t bytes);

class SketchFlash : public MemoryFlash {
 public:
  SketchFlash(uint8_t page_count, void (*between)(), uint16_t taken = 0)
      : SketchFlash(host_flash((uint32_t{page_count} + taken) * 4096), page_count, between) {}
  const uint8_t* mapped() const { return memory_; }
  void pause() override { between_(); }

 private:
  SketchFlash(uint8_t* memory, uint8_t page_count, void (*between)())
      : MemoryFlash(memory, 4096, page_count), memory_(memory), between_(between) {}
  uint8_t* memory_;
  void (*between_)();
};

}  // namespace tfodl

#elif defined(NRF52840_XXAA)
#include "tfodl/store/nvmc_flash.h"

namespace tfodl {

class SketchFlash : public NvmcFlash {
 public:
  SketchFlash(uint8_t page_count, void (*between)(), uint16_t taken = 0)
      : NvmcFlash(start(page_count + taken), page_count, nullptr, between), start_(start(page_count + taken)) {}
  const uint8_t* mapped() const { return reinterpret_cast<const uint8_t*>(start_); }

 private:
#if defined(ARDUINO_ARCH_ZEPHYR)
  static constexpr uint32_t kEnd = 0xE0000;  // of what lies between the core and the sketch; docs/add_board.md
#else
  static constexpr uint32_t kEnd = 0x100000;
#endif
  static uintptr_t start(int32_t from_end) { return kEnd - 4096u * static_cast<uint32_t>(from_end); }
  uintptr_t start_;
};

}  // namespace tfodl

#elif defined(ARDUINO_ARCH_RP2040) && (!defined(ARDUINO_ARCH_MBED) || defined(ARDUINO_NANO_RP2040_CONNECT))
#include "tfodl/store/pico_flash.h"

namespace tfodl {
using SketchFlash = PicoFlash;
}  // namespace tfodl

#elif defined(STM32H747xx) && defined(CORE_CM7)
#include "tfodl/store/bank_flash.h"

namespace tfodl {

// Of sectors, four whatever the engine asks for: `sketch --board` has seen that it fits. Not for a pool, and of one
// engine.
class SketchFlash : public BankFlash {
 public:
  SketchFlash(uint8_t, void (*between)(), uint16_t = 0) : BankFlash(between) {}
};

}  // namespace tfodl

#elif defined(ESP_PLATFORM)
#include "tfodl/store/partition_flash.h"

namespace tfodl {
using SketchFlash = PartitionFlash;
}  // namespace tfodl

#else
#error "tfodl: this engine keeps what it learned in flash; write a tfodl::SketchFlash for your chip as for the nRF52840."
#endif

#endif  // TFODL_STORE_SKETCH_FLASH_H
