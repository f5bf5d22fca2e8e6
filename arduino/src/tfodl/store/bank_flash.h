// The second bank of an STM32H7's flash as a store's area. docs/store.md.
#ifndef TFODL_STORE_BANK_FLASH_H
#define TFODL_STORE_BANK_FLASH_H
#include "tfodl/store/flash_area.h"

namespace tfodl {

// The last four sectors of 128 KB of the second bank of a chip of 2 MB, 0x08180000 on. The program runs on in the first
// bank while one is erased, 1 to 4 s, of which a slice waits for 10 ms; words are of 32 bytes, each with a checksum of
// the hardware's. A word whose write was cut reads as a bus error: it is caught, and the word is 0. Nothing is written
// where the program, or the Cortex-M4's, reaches into the area, or while the banks are swapped.
class BankFlash : public FlashArea {
 public:
  explicit BankFlash(void (*between)() = nullptr);

  void read(uint32_t at, void* data, uint32_t n) const override;
  void write(uint32_t at, const void* data, uint32_t n) override;
  void erase_slice(uint8_t page) override;
  bool may_write() override;
  void pause() override {
    if (between_) between_();
  }

  static constexpr uint8_t kSlices = 200, kSliceMs = 10;

 private:
  void begin_erase(uint8_t page);
  void end_erase();
  void wait() const;

  void (*between_)();
  int8_t erasing_ = -1;  // the page
  uint8_t slices_ = 0;   // of it
};

}  // namespace tfodl

#endif  // TFODL_STORE_BANK_FLASH_H
