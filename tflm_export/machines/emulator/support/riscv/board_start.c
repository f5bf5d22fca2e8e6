// Reset, memory protection and faults of an emulated RISC-V core: read-only flash, RAM with a guard under the stack,
// the harness's own of both beside them (core.py, Memories).
#include "board.h"
#include "board_memory.h"

#define CSR ".option arch, +zicsr\n"
#define CSR_WRITE(name, value) __asm volatile(CSR "csrw " name ", %0" : : "r"(value))
enum { READ_EXECUTE = 5, POWER_OF_TWO = 3 << 3, LOCKED = 1 << 7 };  // a locked entry holds for machine mode, too

// What pmpaddr holds of a range whose size is a power of two.
static uint32_t range(uint32_t base, uint32_t bytes) { return base >> 2 | ((bytes >> 3) - 1); }

__attribute__((naked)) static void on_trap(void);

static void protect_memory(void) {
  CSR_WRITE("pmpaddr0", range((uint32_t)&stack_limit - 256, 256));
  CSR_WRITE("pmpaddr1", range(FLASH_BASE, FLASH_BYTES));
  CSR_WRITE("pmpaddr2", range(HARNESS_FLASH, 1u << 20));
  const uint32_t none = LOCKED | POWER_OF_TWO, read_only = none | READ_EXECUTE;
  CSR_WRITE("pmpcfg0", none | read_only << 8 | read_only << 16);
  CSR_WRITE("mtvec", (uint32_t)on_trap);
}

__attribute__((used)) static void start(void) {
  load_variables();
  protect_memory();
  board_exit(initialize_and_run());
}

__attribute__((naked, used, section(".vectors"))) void board_reset(void) {
  __asm volatile(
      "la sp, stack_top\n"
      "la t0, start\n"
      "jr t0\n");
}

__attribute__((used)) static void report_trap(uint32_t return_address, const uint32_t* stack) {
  uint32_t cause, at, address;
  __asm volatile(CSR "csrr %0, mcause\ncsrr %1, mepc\ncsrr %2, mtval" : "=r"(cause), "=r"(at), "=r"(address));
  if (stack < &stack_limit) {
    board_print("\nFAULT stack overflow");
  } else {
    board_print_hex("\nFAULT pc", at);
    board_print_hex(" ra", return_address);
  }
  board_print_hex(" mcause", cause);
  board_print_hex(" address", address);
  board_print("\n");
  board_exit(99);
}

// A fresh stack in harness RAM, so that a stack overflow can be told too.
__attribute__((naked)) static void on_trap(void) {
  __asm volatile(
      ".balign 4\n"
      "mv a0, ra\n"
      "mv a1, sp\n"
      "la sp, board_fault_stack\n"
      "j report_trap\n");
}
