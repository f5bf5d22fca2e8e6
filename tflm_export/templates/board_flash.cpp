  uint8_t* memory = static_cast<uint8_t*>(board_alloc($name::kStoreBytes));
  memset(memory, 0xFF, $name::kStoreBytes);
  tfodl::MemoryFlash area(memory, 4096, $name::kStoreBytes / 4096);
  uint16_t* records = static_cast<uint16_t*>(board_alloc(sizeof(uint16_t) * $name::kStoreRecords));
  tfodl::Store store(area, $name::store_layout(), records);
  $name::restore(store);
