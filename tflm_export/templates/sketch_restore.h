
// -> whether anything was saved. The engine is as it was saved, or else, even where it is refused, as it was flashed.
inline Status restore(SerialProtocol& p) {
  const StoreStatus status = open_saved();
  const bool saved = status == StoreStatus::kOk;
  p.restarted();
  if (!saved && status != StoreStatus::kEmpty) return serial::of_flash(status);
  p.add_u32(saved);
  return Status::kOk;
}
