// Cores that take an instruction after the other: a price of each kind, and what overlaps.
#include <stdlib.h>
#include <string.h>

#include "model.h"

// The instruction summary of the Arm Cortex-M0+ Technical Reference Manual (DDI 0484), with the multiplier of one
// cycle, on memory of one cycle that is no single-cycle I/O.
static const Price M0PLUS[KINDS] = {
    [CALL] = {2, 0, ALONE},  // 3 with the refill
    [SYSTEM] = {3, 0, ALONE},
    [LOAD] = {2, 0, ALONE},
    [NARROW_LOAD] = {2, 0, ALONE},
    [STORE] = {2, 0, ALONE},
    [MULTIPLE] = {1, 1, ALONE},
    [RETURN] = {2, 1, ALONE},  // 3 + N with the refill
};

// Instruction set summaries and "Load/store timings" of the Arm Cortex-M4 Technical Reference Manual (100166).
static const Price M4[KINDS] = {
    [DIVIDE] = {7, 0, ALONE},  // 2 to 12, by the values
    [TABLE_BRANCH] = {2, 0, ALONE},
    [LOAD] = {2, 0, HIDES},
    [NARROW_LOAD] = {2, 0, HIDES},
    [STORE] = {1, 0, LETS},
    [EXCLUSIVE] = {2, 0, HIDES},
    [PAIR] = {3, 0, ALONE},
    [MULTIPLE] = {1, 1, ALONE},
    [RETURN] = {1, 1, ALONE},
    [FLOAT_MOVE_PAIR] = {2, 0, ALONE},
    [FLOAT_MULTIPLY_ADD] = {3, 0, ALONE},
    [FLOAT_DIVIDE] = {14, 0, ALONE},
    [FLOAT_LOAD] = {2, 0, HIDES},
    [FLOAT_STORE] = {2, 0, ALONE},
};

typedef struct {
  uint64_t cycles;
  Overlap head, tail;
} Sum;

static Overlap tail;  // of the block that ran last

static int hidden(Overlap previous, Overlap next) { return next == HIDES && previous != ALONE; }

static void* add_up(const Model* model, const Instruction* instructions, size_t n) {
  Sum* sum = calloc(1, sizeof *sum);
  sum->head = model->prices[instructions[0].kind].overlap;
  for (size_t i = 0; i < n; ++i) {
    const Price price = model->prices[instructions[i].kind];
    const int cycles = (price.cycles ? price.cycles : 1) + price.a_word * instructions[i].words;
    sum->cycles += (uint64_t)(cycles - hidden(sum->tail, price.overlap));
    sum->tail = price.overlap;
  }
  return sum;
}

static uint64_t look_up(const Model* model, const void* prepared, Entry entry) {
  const Sum* sum = prepared;
  const uint64_t cycles = sum->cycles + (uint64_t)(entry == FOLLOWS ? -hidden(tail, sum->head) : model->refill);
  tail = sum->tail;
  return cycles;
}

// P of a taken branch is 1 to 3 on the M4, by the target's alignment and width. Of the M33 Arm publishes no table: its
// model is the M4's.
static const Model TABLES[] = {
    {"cortex-m0plus", add_up, look_up, M0PLUS, 1},
    {"cortex-m4", add_up, look_up, M4, 2},
    {"cortex-m33", add_up, look_up, M4, 2},
};

const Model* model_named(const char* name) {
  for (size_t i = 0; i < sizeof TABLES / sizeof *TABLES; ++i) {
    if (strcmp(TABLES[i].name, name) == 0) return &TABLES[i];
  }
  return strcmp(CORTEX_M7.name, name) == 0 ? &CORTEX_M7 : NULL;
}
