// Cycles of Cortex-M4 instructions without wait states, after the instruction set summaries and
// "Load/store timings" of the Arm Cortex-M4 Technical Reference Manual (100166). docs/measuring.md says what is left out.
#pragma once
#include <stdint.h>

// P: the refill of the pipeline that a taken branch adds. The manual says 1 to 3, by alignment and width of the
// target.
enum { REFILL_CYCLES = 2 };

// How an instruction overlaps with its neighbour: the address phase of a single load hides behind the single load
// or store before it.
typedef enum {
  ALONE,  // neither hides nor lets hide
  LOAD,   // a cycle less behind a LOAD or a STORE
  STORE,  // its one cycle is the address phase: the write buffer takes the data
} Pipelining;

typedef struct {
  unsigned bytes;  // 2 or 4
  int cycles;      // on its own; a branch not taken
  Pipelining pipelining;
  int reads;  // whether it reads memory
} Cost;

// What the Thumb instruction at `code` costs. Condition codes of IT blocks are not known here: an instruction that
// is skipped costs as much as one that runs.
Cost cortex_m4_cost(const uint8_t* code);

// Cycles that `next` saves when it follows `previous` directly.
int cortex_m4_overlap(Pipelining previous, Pipelining next);
