
#include "tfodl/store/kept.h"

namespace {
#ifndef TFODL_PAGE_BYTES
#define TFODL_PAGE_BYTES 4096
#define TFODL_WRITE_BYTES 4
#define TFODL_PAGES ($name::kStoreBytes / TFODL_PAGE_BYTES)
#endif
constexpr uint32_t kPageBytes = TFODL_PAGE_BYTES, kPages = TFODL_PAGES, kWriteBytes = TFODL_WRITE_BYTES;
uint8_t store_memory[kPages * kPageBytes];
uint16_t store_index[$name::kStoreRecords];
CutFlash store_area(store_memory, kPages, kPageBytes, kWriteBytes);
tfodl::Store store(store_area, $name::store_layout(), store_index);
}  // namespace

extern "C" {
void* shim_store_memory() { return store_memory; }
int32_t shim_store_mount() { return static_cast<int32_t>(store.mount()); }
int32_t shim_store_format() { return static_cast<int32_t>(store.format()); }
int32_t shim_store_save() { return static_cast<int32_t>($name::save(store)); }
int32_t shim_store_restore() { return static_cast<int32_t>($name::restore(store)); }
void shim_store_cut_after(int32_t operations) { store_area.left = operations; }
uint32_t shim_store_pages_opened() { return store.pages_opened(); }
}
