// The pages of flash in which the image of an engine's constants lies.
#ifndef TFODL_STORE_CONSTANTS_FLASH_H
#define TFODL_STORE_CONSTANTS_FLASH_H
#include "tfodl/store/flash_area.h"

namespace tfodl {

constexpr uint8_t constants_pages(uint32_t bytes) { return static_cast<uint8_t>((bytes + 4095) / 4096); }

}  // namespace tfodl

#if defined(TFODL_HOST)  // a sketch that runs on a computer

namespace tfodl {

void host_constants(void* place, uint32_t bytes);  // makes them what a file holds

class ConstantsFlash : public MemoryFlash {
 public:
  ConstantsFlash(const void* place, uint32_t bytes, void (*between)())
      : MemoryFlash(mapped(const_cast<void*>(place), bytes), 4096, constants_pages(bytes)), between_(between) {}
  void pause() override { between_(); }

 private:
  static uint8_t* mapped(void* place, uint32_t bytes) {
    host_constants(place, bytes);
    return static_cast<uint8_t*>(place);
  }
  void (*between_)();
};

}  // namespace tfodl

#elif defined(NRF52840_XXAA)
#include "tfodl/store/nvmc_flash.h"

namespace tfodl {

class ConstantsFlash : public NvmcFlash {
 public:
  ConstantsFlash(const void* place, uint32_t bytes, void (*between)())
      : NvmcFlash(reinterpret_cast<uintptr_t>(place), constants_pages(bytes), nullptr, between) {}
};

}  // namespace tfodl

#else
#error "tfodl: this engine's constants lie beside the sketch; write a tfodl::ConstantsFlash for your chip as for the nRF52840."
#endif

#endif  // TFODL_STORE_CONSTANTS_FLASH_H
