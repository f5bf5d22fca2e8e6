
// The engine's records, and one more with the spare classes' names.
inline const StoreLayout& sketch_layout() {
  static uint16_t first[net::kStoreArrays + 2];
  static StoreLayout layout = net::store_layout();
  memcpy(first, net::store_layout().first, sizeof(uint16_t) * (net::kStoreArrays + 1));
  first[net::kStoreArrays + 1] = static_cast<uint16_t>(first[net::kStoreArrays] + 1);
  layout.first = first;
  layout.keys = net::kStoreArrays + 1;
  return layout;
}

inline Store& store() {
  static uint16_t where[net::kStoreRecords + 1];
  static Store records(flash(), sketch_layout(), where);
  return records;
}

constexpr uint16_t kNamesBytes = net::kSpareClasses * (kNameBytes + 1);
inline char* spare_names() { return spare_name(net::kLogits - net::kSpareClasses); }

// The names as they were saved; false where there are none.
inline bool saved_names(char* to) {
  StoredRecord record;
  if (!store().find(net::kStoreArrays, 0, &record) || record.bytes != kNamesBytes) return false;
  return store().read(&record, to, kNamesBytes) == kNamesBytes;
}

inline StoreStatus open_saved() {
  const StoreStatus status = net::restore(store());
  if (status != StoreStatus::kOk || !saved_names(spare_names())) memset(spare_names(), 0, kNamesBytes);
  return status;
}

inline StoreStatus save_all() {
  const StoreStatus status = net::save(store());
  char there[kNamesBytes] = {};
  saved_names(there);
  const bool same = memcmp(there, spare_names(), kNamesBytes) == 0;
  return status != StoreStatus::kOk || same ? status : store().put(net::kStoreArrays, 0, spare_names(), kNamesBytes);
}

inline Status save(SerialProtocol&) { return serial::of_flash(save_all()); }

inline Status factory_reset(SerialProtocol& p) {
  const StoreStatus status = store().format();
  if (status != StoreStatus::kOk) return serial::of_flash(status);
  memset(spare_names(), 0, kNamesBytes);
  return serial::reset(p);
}
