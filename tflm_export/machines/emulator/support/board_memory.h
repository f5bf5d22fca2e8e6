// Variables of a program as the linker has placed them (board.ld), and how they come there.
#pragma once
#include <stdint.h>

extern uint32_t load_data, data_start, data_end, bss_start, bss_end;
extern uint32_t board_load_data, board_data_start, board_data_end, board_bss_start, board_bss_end;
extern uint32_t stack_limit, stack_top;
typedef void (*Initializer)(void);
extern Initializer preinit_start[], preinit_end[], init_start[], init_end[];
extern int main(void);

static inline void copy_words(const uint32_t* from, uint32_t* to, const uint32_t* end) {
  while (to < end) *to++ = *from++;
}

static inline void clear_words(uint32_t* to, const uint32_t* end) {
  while (to < end) *to++ = 0;
}

static inline void load_variables(void) {
  copy_words(&load_data, &data_start, &data_end);
  copy_words(&board_load_data, &board_data_start, &board_data_end);
  clear_words(&bss_start, &bss_end);
  clear_words(&board_bss_start, &board_bss_end);
}

static inline int initialize_and_run(void) {
  for (Initializer* f = preinit_start; f < preinit_end; ++f) (*f)();
  for (Initializer* f = init_start; f < init_end; ++f) (*f)();
  return main();
}
