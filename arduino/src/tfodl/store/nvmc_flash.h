// The nRF52840's own flash as a store's area. docs/store.md.
#ifndef TFODL_STORE_NVMC_FLASH_H
#define TFODL_STORE_NVMC_FLASH_H
#include "tfodl/store/flash_area.h"

namespace tfodl {

// `pages` pages of 4 KB from `address` on, which the program must leave alone. The CPU stands still for 41 us a word
// and at most 9.81 ms a slice of an erase; interrupts are served in between.
class NvmcFlash : public FlashArea {
 public:
  // supply_ok: whether the supply is good for the next 100 ms; null: always.
  NvmcFlash(uintptr_t address, uint8_t pages, bool (*supply_ok)() = nullptr, void (*between)() = nullptr)
      : FlashArea(4096, pages, 4, kSlices), address_(address), supply_ok_(supply_ok), between_(between) {}

  void read(uint32_t at, void* data, uint32_t n) const override;
  void write(uint32_t at, const void* data, uint32_t n) override;
  void erase_slice(uint8_t page) override;
  bool may_write() override { return !supply_ok_ || supply_ok_(); }
  void pause() override {
    if (between_) between_();
  }

  // A page needs 87.5 ms; a slice may take 1.09 times what is asked for.
  static constexpr uint8_t kSlices = 10, kSliceMs = 9;

 private:
  uintptr_t address_;
  bool (*supply_ok_)();
  void (*between_)();
};

}  // namespace tfodl

#endif  // TFODL_STORE_NVMC_FLASH_H
