// A store on an area of flash: 300 records, a refusal, a start anew. For the drivers' tests.
#pragma once
#include <stdio.h>
#include <stdlib.h>

#include "tfodl/store/store.h"

inline void require(bool ok, const char* what) {
  if (ok) return;
  fprintf(stderr, "FAILED %s\n", what);
  exit(1);
}

// mapped: the area in the address space. refuse: makes the area refuse writes; null: nothing can. after: called
// behind every record.
inline void try_area(tfodl::FlashArea& area, const uint8_t* mapped, void (*refuse)() = nullptr,
                     void (*after)() = nullptr) {
  const uint16_t first[] = {0, 2};
  const tfodl::StoreLayout layout = {{1}, first, 1};
  uint16_t where[2];
  uint8_t payload[700], found[700];
  {
    tfodl::Store store(area, layout, where);
    for (uint16_t i = 0; i < 300; ++i) {
      memset(payload, i & 255, sizeof payload);
      require(store.put(0, i & 1, payload, sizeof payload) == tfodl::StoreStatus::kOk, "put");
      if (i % 4 == 0) store.tidy();
      if (after) after();
    }
  }
  tfodl::Store store(area, layout, where);
  if (refuse) {
    refuse();
    require(store.put(0, 0, payload, 4) == tfodl::StoreStatus::kRefused, "refused");
  }
  require(store.mount() == tfodl::StoreStatus::kOk, "mount");
  tfodl::StoredRecord record;
  require(store.find(0, 1, &record) && store.read(&record, found, 700) == 700, "find");
  require(memcmp(found, payload, sizeof found) == 0, "payload");
  for (uint8_t page = 0; page < area.pages; ++page) {
    area.read(uint32_t{page} * area.page_bytes, found, sizeof found);
    require(memcmp(found, mapped + uint32_t{page} * area.page_bytes, sizeof found) == 0, "mapped");
  }
}
