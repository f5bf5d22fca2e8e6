// The store on the nRF52840's flash driver, whose registers are played on the host.
#include <nrf.h>
#include <stdio.h>
#include <stdlib.h>

#include "tfodl/store/nvmc_flash.h"
#include "tfodl/store/store.h"

alignas(4096) uint8_t flash_memory[kFlashBytes];
Nvmc nvmc_played;

namespace {

uint32_t pauses = 0;
bool supply = true;

void require(bool ok, const char* what) {
  if (ok) return;
  fprintf(stderr, "FAILED %s\n", what);
  exit(1);
}

}  // namespace

int main() {
  tfodl::NvmcFlash area(
      reinterpret_cast<uintptr_t>(flash_memory), 8, [] { return supply; }, [] { ++pauses; });
  const uint16_t first[] = {0, 2};
  const tfodl::StoreLayout layout = {{1}, first, 1};
  uint16_t where[2];
  tfodl::Store store(area, layout, where);
  uint8_t payload[700];
  for (uint16_t i = 0; i < 300; ++i) {
    memset(payload, i & 255, sizeof payload);
    require(store.put(0, i & 1, payload, sizeof payload) == tfodl::StoreStatus::kOk, "put");
    if (i % 4 == 0) store.tidy();
    require(nvmc_played.CONFIG == 0, "read only");
  }
  supply = false;
  require(store.put(0, 0, payload, 4) == tfodl::StoreStatus::kRefused, "low supply");
  require(store.mount() == tfodl::StoreStatus::kOk, "mount");
  tfodl::StoredRecord record;
  uint8_t found[700];
  require(store.find(0, 1, &record) && store.read(&record, found, 700) == 700, "find");
  require(memcmp(found, payload, sizeof found) == 0, "payload");
  printf("longest_ms %u\nwrong %u\nerased %u\npauses %u\n", nvmc_played.longest_ms, nvmc_played.wrong,
         nvmc_played.erased, pauses);
  return 0;
}
