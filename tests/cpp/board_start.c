// Start of the kernel runner on the emulated board: switch the FPU on, then newlib's semihosting start-up.
#include <stdint.h>

void _start(void);

void reset(void) {
  *(volatile uint32_t*)0xE000ED88 |= 0xFu << 20;  // CPACR: coprocessors 10 and 11
  __asm volatile("dsb\n isb");
  _start();
}

static void fault(void) {
  static const char text[] = "fault\n";
  register uintptr_t operation __asm("r0") = 4;  // SYS_WRITE0
  register const char* at __asm("r1") = text;
  __asm volatile("bkpt 0xab" : : "r"(operation), "r"(at) : "memory");
  register uintptr_t leave __asm("r0") = 0x18;  // SYS_EXIT
  register uintptr_t why __asm("r1") = 0x20024;  // run-time error
  __asm volatile("bkpt 0xab" : : "r"(leave), "r"(why) : "memory");
  for (;;) {
  }
}

__attribute__((section(".vectors"), used)) static const uintptr_t vectors[16] = {
    0x20400000, (uintptr_t)reset, (uintptr_t)fault, (uintptr_t)fault, (uintptr_t)fault, (uintptr_t)fault, (uintptr_t)fault};
