// Start of a program on any emulated Cortex-M: floating point on where there is some, variables, main. A fault ends the
// program with status 99.
#include "board.h"

extern uint32_t load_data, data_start, data_end, bss_start, bss_end, stack_top;
extern int main(void);

static void reset(void) {
#if defined(__ARM_FP)
  *(volatile uint32_t*)0xE000ED88 |= 0xFu << 20;
  __asm volatile("dsb\nisb");
#endif
  const uint32_t* from = &load_data;
  for (uint32_t* to = &data_start; to < &data_end;) *to++ = *from++;
  for (uint32_t* to = &bss_start; to < &bss_end;) *to++ = 0;
  board_exit(main());
}

static void fault(void) { board_exit(99); }

__attribute__((section(".vectors"), used)) static void* const vectors[16] = {&stack_top, (void*)reset, [2 ... 15] = (void*)fault};
