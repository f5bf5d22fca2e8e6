// Start and faults of an emulated Xtensa core. It has no memory protection: the stack lies at the end of a memory, so
// that what overflows leaves it, and flash is not held against writes.
#include "board.h"
#include "board_memory.h"

enum { GUARD = 0x10000 };  // bytes below the stack in which a fault is its overflow

__attribute__((used)) void board_start(void) {
  load_variables();
  board_exit(initialize_and_run());
}

__attribute__((used)) void board_report_fault(uint32_t return_address) {
  uint32_t cause, at, address;
  __asm volatile("rsr %0, exccause\nrsr %1, epc1\nrsr %2, excvaddr" : "=r"(cause), "=r"(at), "=r"(address));
  if ((uint32_t)&stack_limit - address <= GUARD) {
    board_print("\nFAULT stack overflow");
  } else {
    board_print_hex("\nFAULT pc", at);
    board_print_hex(" a0", return_address);
  }
  board_print_hex(" exccause", cause);
  board_print_hex(" address", address);
  board_print("\n");
  board_exit(99);
}
