// The flash beside an RP2040 or RP2350 as a store's area: under the core of Earle Philhower, and on the Nano RP2040 Connect
// under Arduino's. docs/store.md.
#ifndef TFODL_STORE_PICO_FLASH_H
#define TFODL_STORE_PICO_FLASH_H
#include "tfodl/store/flash_area.h"

namespace tfodl {

// The last `pages` sectors of 4 KB that are a sketch's, before `taken` others, below the core's file system and EEPROM
// or below the last MB. The flash runs no code while it is written: interrupts are off and the other core stands, some
// 0.7 ms a write and 45 ms an erase (400 ms at most, by the chips' data sheets). Where the program reaches into the area
// nothing is written.
class PicoFlash : public FlashArea {
 public:
  explicit PicoFlash(uint8_t pages, void (*between)() = nullptr, uint16_t taken = 0);

  void read(uint32_t at, void* data, uint32_t n) const override { memcpy(data, start_ + at, n); }
  void write(uint32_t at, const void* data, uint32_t n) override;
  void erase_slice(uint8_t page) override;
  bool may_write() override;
  void pause() override {
    if (between_) between_();
  }
  const uint8_t* mapped() const { return start_; }

 private:
  const uint8_t* start_;
  void (*between_)();
};

}  // namespace tfodl

#endif  // TFODL_STORE_PICO_FLASH_H
