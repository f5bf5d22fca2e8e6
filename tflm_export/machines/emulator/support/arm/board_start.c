// Reset, memory protection and faults of an emulated core; a Cortex-M4F is dressed as an nRF52840: 1 MB of read-only
// flash at 0, 256 KB of RAM at 0x20000000. A guard lies under the stack. Beside them the harness's own flash, RAM
// and timer; any other address faults. FLASH_BASE, FLASH_BYTES, RAM_*, HARNESS_*: core.py, Memories.
#include "board.h"
#include "board_memory.h"

#define REGISTER(address) (*(volatile uint32_t*)(address))
#define CPACR REGISTER(0xE000ED88)
#define SHCSR REGISTER(0xE000ED24)
#define CFSR REGISTER(0xE000ED28)
#define MMFAR REGISTER(0xE000ED34)
#define MPU_CTRL REGISTER(0xE000ED94)
#define MPU_RNR REGISTER(0xE000ED98)
#define MPU_RBAR REGISTER(0xE000ED9C)
#define FPCCR REGISTER(0xE000EF34)

#if __ARM_ARCH >= 8
#define MPU_RLAR REGISTER(0xE000EDA0)
#define MPU_MAIR0 REGISTER(0xE000EDC0)
enum { READ_WRITE = 1u << 1, READ_ONLY = 3u << 1, NO_EXECUTE = 1u };

static void protect(uint32_t region, uint32_t base, uint32_t bytes, uint32_t access) {
  MPU_RNR = region;
  MPU_RBAR = base | access;
  MPU_RLAR = (base + bytes - 32) | 1u;
}

// The guard is what no region holds: the RAM is two.
static void protect_ram(uint32_t guard) {
  MPU_MAIR0 = 0x44;  // plain memory, no cache
  protect(2, RAM_BASE, guard - RAM_BASE, READ_WRITE | NO_EXECUTE);
  protect(5, guard + 256, RAM_BASE + RAM_BYTES - guard - 256, READ_WRITE | NO_EXECUTE);
}
#else
#define MPU_RASR REGISTER(0xE000EDA0)
enum { NO_ACCESS = 0u << 24, READ_WRITE = 3u << 24, READ_ONLY = 6u << 24, NO_EXECUTE = 1u << 28 };

// A region has a power of two of bytes.
static void protect(uint32_t region, uint32_t base, uint32_t bytes, uint32_t access) {
  uint32_t bits = 0;
  while (bits < 31 && (1u << bits) < bytes) ++bits;
  MPU_RNR = region;
  MPU_RBAR = base;
  MPU_RASR = access | ((bits - 1) << 1) | 1u;
}

static void protect_ram(uint32_t guard) {
  protect(2, RAM_BASE, RAM_BYTES, READ_WRITE | NO_EXECUTE);
  protect(5, guard, 256, NO_ACCESS | NO_EXECUTE);
}
#endif

static void protect_memory(void) {
  protect(0, FLASH_BASE, FLASH_BYTES, READ_ONLY);
  protect(1, HARNESS_FLASH, 1u << 20, READ_ONLY);
  protect(3, HARNESS_RAM, 1u << 20, READ_WRITE | NO_EXECUTE);
  protect(4, 0x40000000, 4096, READ_WRITE | NO_EXECUTE);  // timer
  protect_ram((uint32_t)&stack_limit - 256);
  SHCSR |= 7u << 16;  // separate memory, bus and usage faults
  MPU_CTRL = 1;
  __asm volatile("dsb\nisb");
}

void board_reset(void) {
  CPACR |= 0xFu << 20;     // floating point on
  FPCCR &= ~(3u << 30);    // no lazy stacking: there are no interrupts
  __asm volatile("dsb\nisb");
  load_variables();
  protect_memory();
  board_exit(initialize_and_run());
}

// frame: r0 r1 r2 r3 r12 lr pc xpsr as stacked by the core; lost when the stack overflowed.
__attribute__((used)) void board_report_fault(const uint32_t* frame) {
  const uint32_t status = CFSR, address = MMFAR;
  if (frame < &stack_limit) {
    board_print("\nFAULT stack overflow");
  } else {
    board_print_hex("\nFAULT pc", frame[6]);
    board_print_hex(" lr", frame[5]);
  }
  board_print_hex(" CFSR", status);
  board_print_hex(" address", address);
  board_print("\n");
  board_exit(99);
}

// A fresh stack in harness RAM, so that a stack overflow can be told too.
__attribute__((naked)) static void fault(void) {
  __asm volatile(
      "mov r0, sp\n"
      "ldr r1, =board_fault_stack\n"
      "mov sp, r1\n"
      "b board_report_fault\n");
}

__attribute__((section(".vectors"), used)) static void* const vectors[64] = {
    &stack_top, (void*)board_reset, [2 ... 63] = (void*)fault};
