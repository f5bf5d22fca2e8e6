
inline StoreStatus open_saved() { return net::open(flash(), flash().mapped()); }

// Commits, measures, chooses anew -> epoch.
inline Status new_epoch(SerialProtocol& p) {
  const StoreStatus status = net::new_epoch();
  if (status == StoreStatus::kOk) p.add_u32(net::epoch());
  return serial::of_flash(status);
}

inline Status factory_reset(SerialProtocol& p) {
  const StoreStatus status = net::format();
  return status == StoreStatus::kOk ? serial::reset(p) : serial::of_flash(status);
}
