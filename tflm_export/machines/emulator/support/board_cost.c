// Marks and stack of one call. The plugin (../plugin/counter.c) writes its counts down whenever a board_mark_
// runs; nothing of the harness is counted itself.
#include "board.h"

enum { PAINT = 0xC5C5C5C5, MOST_LAPS = 1024 };

extern uint32_t stack_limit;

#if defined(__riscv)
#define RETURN "ret"
#define READ_STACK_POINTER "mv %0, sp"
#elif defined(__XTENSA__)
#define RETURN "ret.n"
#define READ_STACK_POINTER "mov %0, sp"
#else
#define RETURN "bx lr"
#define READ_STACK_POINTER "mov %0, sp"
#endif

#define MARK(name)                                        \
  void board_mark_##name(void);                           \
  __asm(".text\n"                                         \
        ".balign 4\n"                                     \
        ".type board_mark_" #name ", %function\n"         \
        ".global board_mark_" #name "\n"                  \
        "board_mark_" #name ":\n" RETURN "\n"             \
        ".size board_mark_" #name ", . - board_mark_" #name "\n")
MARK(begin);
MARK(end);
MARK(lap);

#define INLINE __attribute__((always_inline)) static inline

// Inlined, so that the frame below which they paint and scan is board_measure's.
INLINE uint32_t* stack_pointer(void) {
  uint32_t* pointer;
  __asm volatile(READ_STACK_POINTER : "=r"(pointer));
  return pointer;
}

INLINE void paint_stack(void) {
  const uint32_t* const end = stack_pointer();
  for (volatile uint32_t* word = &stack_limit; word < end; ++word) *word = PAINT;
}

INLINE uint32_t used_bytes(void) {
  const volatile uint32_t* word = &stack_limit;
  const uint32_t* const end = stack_pointer();
  while (word < end && *word == PAINT) ++word;
  return (uint32_t)end - (uint32_t)word;
}

static uint32_t numbers[MOST_LAPS], laps;

void board_lap(uint32_t number) {
  board_mark_lap();
  if (laps == MOST_LAPS) board_exit(97);
  numbers[laps++] = number;
}

void board_measure(const char* name, void (*function)(void*), void* argument) {
  laps = 0;
  paint_stack();
  board_mark_begin();
  function(argument);
  board_mark_end();
  const uint32_t stack_bytes = used_bytes();
  for (uint32_t i = 0; i < laps; ++i) board_print_number("lap", numbers[i]);
  board_print(name);
  board_print_number(" stack", stack_bytes);
}
