
inline Store& store() {
  static uint16_t where[net::kStoreRecords];
  static Store records(flash(), net::store_layout(), where);
  return records;
}

inline StoreStatus open_saved() { return net::restore(store()); }

inline StoreStatus save_all() { return net::save(store()); }

inline Status save(SerialProtocol&) { return serial::of_flash(save_all()); }

inline Status factory_reset(SerialProtocol& p) {
  const StoreStatus status = store().format();
  return status == StoreStatus::kOk ? serial::reset(p) : serial::of_flash(status);
}
