#include "tfodl/detail/inner.h"

#if TFODL_DOT_V6M

namespace tfodl {

// The sums live in r8 to r11, which can be added to and no more; a compiler keeps them on the stack. 5.5 cycles a
// product on a Cortex-M0+.
__attribute__((naked)) void dot_v6m(const int8_t*, uint32_t, const int16_t*, uint32_t, int32_t, int32_t (&)[2][2]) {
  __asm(
      ".syntax unified\n"
      "push {r4, r5, r6, r7, lr}\n"
      "mov r4, r8\n"
      "mov r5, r9\n"
      "mov r6, r10\n"
      "mov r7, r11\n"
      "push {r4, r5, r6, r7}\n"
      "ldr r4, [sp, #36]\n"  // n
      "adds r4, r4, r0\n"
      "mov ip, r4\n"
      "ldr r7, [sp, #40]\n"  // acc
      "mov lr, r7\n"
      "ldmia r7!, {r4, r5, r6}\n"
      "ldr r7, [r7]\n"
      "mov r8, r4\n"
      "mov r9, r5\n"
      "mov r10, r6\n"
      "mov r11, r7\n"
      "movs r7, #0\n"
      "1:\n"
      "ldrsb r4, [r0, r7]\n"
      "ldrsh r5, [r2, r7]\n"
      "movs r6, r4\n"
      "muls r6, r5\n"
      "add r8, r6\n"
      "ldrsh r6, [r2, r3]\n"
      "muls r4, r6\n"
      "add r9, r4\n"
      "ldrsb r4, [r0, r1]\n"
      "muls r5, r4\n"
      "add r10, r5\n"
      "muls r4, r6\n"
      "add r11, r4\n"
      "adds r0, #1\n"
      "adds r2, #2\n"
      "cmp r0, ip\n"
      "bne 1b\n"
      "mov r0, lr\n"
      "mov r4, r8\n"
      "mov r5, r9\n"
      "mov r6, r10\n"
      "mov r7, r11\n"
      "stmia r0!, {r4, r5, r6, r7}\n"
      "pop {r4, r5, r6, r7}\n"
      "mov r8, r4\n"
      "mov r9, r5\n"
      "mov r10, r6\n"
      "mov r11, r7\n"
      "pop {r4, r5, r6, r7, pc}\n");
}

}  // namespace tfodl

#endif
