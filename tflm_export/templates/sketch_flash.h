
inline void (*&flash_pause())() {
  static void (*pause)() = nullptr;
  return pause;
}
inline void pause_of_flash() {
  if (flash_pause() != nullptr) flash_pause()();
}
inline SketchFlash& flash() {
  static SketchFlash area($pages, pause_of_flash);
  return area;
}
inline Status read_flash(SerialProtocol& p) { return serial::read_flash(p, flash()); }
