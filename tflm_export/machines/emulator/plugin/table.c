// Cores that take an instruction after the other: a price of each kind, and what overlaps.
#include <stdlib.h>

#include "model.h"

typedef struct {
  uint64_t cycles;
  Overlap head, tail;
} Sum;

static Overlap tail;  // of the block that ran last

static int hidden(Overlap previous, Overlap next) { return next == HIDES && previous != ALONE; }

void* add_up(const Model* model, const Instruction* instructions, size_t n) {
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

uint64_t look_up(const Model* model, const void* prepared, Entry entry) {
  const Sum* sum = prepared;
  const uint64_t cycles = sum->cycles + (uint64_t)(entry == FOLLOWS ? -hidden(tail, sum->head) : model->refill);
  tail = sum->tail;
  return cycles;
}
