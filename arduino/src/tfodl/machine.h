// What the library asks of a machine.
#ifndef TFODL_MACHINE_H
#define TFODL_MACHINE_H

#if defined(__AVR__) || (defined(__SIZEOF_POINTER__) && __SIZEOF_POINTER__ < 4)
#error "TFODL needs a 32-bit board with some 16 KB of RAM (Cortex-M, RISC-V, ESP32); this one has 8 or 16 bits (AVR: Uno, Nano, Mega). Choose another under Tools > Board."
#endif

#if defined(__cplusplus) && __cplusplus < 201402L
#error "TFODL is C++14, and this core compiles as C++11. Put -std=gnu++14 in its place where the core's platform.txt has compiler.cpp.flags, or take a newer core."
#endif

#endif  // TFODL_MACHINE_H
