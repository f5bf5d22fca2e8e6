// The store on the nRF52840's flash driver, whose registers are played on the host.
#include <nrf.h>

#include "area_test.h"
#include "tfodl/store/nvmc_flash.h"

alignas(4096) uint8_t flash_memory[kFlashBytes];
Nvmc nvmc_played;

static uint32_t pauses = 0;
static bool supply = true;

int main() {
  tfodl::NvmcFlash area(
      reinterpret_cast<uintptr_t>(flash_memory), 8, [] { return supply; }, [] { ++pauses; });
  try_area(
      area, flash_memory, [] { supply = false; }, [] { require(nvmc_played.CONFIG == 0, "read only"); });
  printf("longest_ms %u\nwrong %u\nerased %u\npauses %u\n", nvmc_played.longest_ms, nvmc_played.wrong,
         nvmc_played.erased, pauses);
  return 0;
}
