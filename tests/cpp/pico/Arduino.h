// What PicoFlash asks of the RP2040's core, and whether it may use the flash now.
#pragma once
#include <stdint.h>

struct Played {
  bool interrupts = true, other_core = true;
  uint32_t wrong = 0, erased = 0, written = 0;
  bool alone() const { return !interrupts && !other_core; }
  void idleOtherCore() { other_core = false; }
  void resumeOtherCore() { other_core = true; }
};
extern Played rp2040;
inline void noInterrupts() { rp2040.interrupts = false; }
inline void interrupts() { rp2040.interrupts = true; }
