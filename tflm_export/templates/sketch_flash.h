
// The pages of the sketch's flash, from its end, in which engines keep what they learned.
#if defined(TFODL_AREAS_END) && $taken < TFODL_AREAS_END && TFODL_AREAS_START < $end
#error "tfodl: two engines of this sketch keep what they learned in the same flash. Make one of the libraries again, by tflm-export sketch --beside FOLDER, the folder of the other engine."
#endif
#if !defined(TFODL_AREAS_END)
#define TFODL_AREAS_START $taken
#define TFODL_AREAS_END $end
#elif $end > TFODL_AREAS_END
#undef TFODL_AREAS_END
#define TFODL_AREAS_END $end
#else
#undef TFODL_AREAS_START
#define TFODL_AREAS_START $taken
#endif

inline void (*&flash_pause())() {
  static void (*pause)() = nullptr;
  return pause;
}
inline void pause_of_flash() {
  if (flash_pause() != nullptr) flash_pause()();
}
inline SketchFlash& flash() {
  static SketchFlash area($pages, pause_of_flash, $taken);
  return area;
}
inline Status read_flash(SerialProtocol& p) { return serial::read_flash(p, flash()); }
