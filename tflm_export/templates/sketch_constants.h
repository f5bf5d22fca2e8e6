
// Where the constants lie, beside the sketch, and what writes them there.
inline void (*&constants_pause())() {
  static void (*pause)() = nullptr;
  return pause;
}
inline void pause_of_constants() {
  if (constants_pause() != nullptr) constants_pause()();
}
inline serial::ConstantsPlace& constants_place() {
  static ConstantsFlash area(net::constants_place(), net::kConstantsBytes, pause_of_constants);
  static serial::ConstantsPlace place = {
      net::constants_head(),  static_cast<const uint8_t*>(net::constants_place()), area,
      net::constants_status, net::constants_changed, false,
  };
  return place;
}
inline Status constants(SerialProtocol& p) { return serial::constants(p, constants_place()); }
inline Status constants_page(SerialProtocol& p) { return serial::constants_page(p, constants_place()); }
inline Status begin_constants(SerialProtocol& p) { return serial::begin_constants(p, constants_place()); }
inline Status write_constants(SerialProtocol& p) { return serial::write_constants(p, constants_place()); }
inline Status end_constants(SerialProtocol& p) {
  const Status status = serial::end_constants(constants_place());
  if (status != Status::kOk) return status;
  $open;
  p.restarted();
  return Status::kOk;
}
