
// The state of learning in flash (docs/store.md): rows, biases and what the optimizer remembers, step count and rate.
// The store has store_layout() and an index of kStoreRecords. save() writes what changed, all or nothing. restore()
// mounts the store; after anything but kOk (kEmpty: nothing was saved yet) the engine is as it was flashed.
constexpr uint16_t kStoreArrays = $arrays, kStoreRecords = $records;
constexpr uint32_t kStoreBytes = $store_bytes;
const tfodl::StoreLayout& store_layout();
tfodl::StoreStatus save(tfodl::Store& store);
tfodl::StoreStatus restore(tfodl::Store& store);
