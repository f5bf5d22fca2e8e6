#if defined(NRF52840_XXAA)
#include "tfodl/store/nvmc_flash.h"

#include <nrf.h>

namespace tfodl {
namespace {

enum : uint32_t { kReadOnly = 0, kWrite = 1, kErase = 2 };  // NVMC.CONFIG

void wait() {
  while (NRF_NVMC->READY == 0) {
  }
}

void configure(uint32_t mode) {
  NRF_NVMC->CONFIG = mode;
  wait();
}

}  // namespace

void NvmcFlash::read(uint32_t at, void* data, uint32_t n) const {
  memcpy(data, reinterpret_cast<const void*>(address_ + at), n);
}

void NvmcFlash::write(uint32_t at, const void* data, uint32_t n) {
  configure(kWrite);
  for (uint32_t i = 0; i < n; i += 4) {
    uint32_t word;
    memcpy(&word, static_cast<const uint8_t*>(data) + i, 4);
    *reinterpret_cast<volatile uint32_t*>(address_ + at + i) = word;
    wait();
  }
  configure(kReadOnly);
}

void NvmcFlash::erase_slice(uint8_t page) {
  configure(kErase);
  NRF_NVMC->ERASEPAGEPARTIALCFG = kSliceMs;
  NRF_NVMC->ERASEPAGEPARTIAL = static_cast<uint32_t>(address_ + uint32_t{page} * page_bytes);
  wait();
  configure(kReadOnly);
}

}  // namespace tfodl
#endif
