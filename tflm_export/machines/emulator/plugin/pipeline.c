// Cores that begin instructions in their order, up to two a cycle, each when its operands are there and no unit stands
// in the way.
#include <stdlib.h>
#include <string.h>

#include "model.h"

enum { BEGUN = 128, SECOND = 256 };  // one instruction has begun in the cycle; two have

typedef struct {
  int needs, latency, cycles;
  int lateness;  // by how much later it reads what it adds to or stores
  Registers early, normal, late, writes;
} Operation;

typedef struct {
  size_t n;
  Operation operations[];
} Operations;

static int64_t now = 1;           // the cycle in which the last instruction began; `ready` is older at first
static int taken;                 // of that cycle; 0 where nothing has begun in it
static int64_t ready[REGISTERS];  // the first cycle in which an instruction may begin that reads it as usual

static Operation operation(const Timing* timings, const Instruction* one) {
  const Timing timing = timings[one->kind];
  const int busy = timing.cycles + timing.a_word * one->words;
  const int cycles = busy > 1 ? busy : 1;
  const int latency = timing.a_word ? cycles : timing.latency;
  const int lateness = one->kind == FLOAT_MULTIPLY_ADD ? 3 : 1;
  return (Operation){timing.needs, latency, cycles, lateness, one->early, one->normal, one->late, one->writes};
}

void* keep(const Model* model, const Instruction* instructions, size_t n) {
  Operations* kept = calloc(1, sizeof *kept + n * sizeof *kept->operations);
  kept->n = n;
  for (size_t i = 0; i < n; ++i) kept->operations[i] = operation(model->timings, &instructions[i]);
  return kept;
}

// The first cycle, from `start` on, in which registers are there for who reads them `later` than usual.
static int64_t wait_for(int64_t start, Registers registers, int later) {
  for (; registers; registers &= registers - 1) {
    const int64_t there = ready[__builtin_ctzll(registers)] - later;
    if (there > start) start = there;
  }
  return start;
}

// Whether an instruction may begin in the cycle in which the last one began.
static int joins(const Operation* next) {
  if (taken == 0) return 1;
  return !((taken | next->needs) & WHOLE) && !(taken & SECOND) && !(next->needs & FIRST) && !(taken & next->needs);
}

static void begin(const Operation* one) {
  int64_t start = wait_for(joins(one) ? now : now + 1, one->early, -1);
  start = wait_for(start, one->normal, 0);
  start = wait_for(start, one->late, one->lateness);
  taken = start == now && taken ? taken | one->needs | SECOND : one->needs | BEGUN;
  now = start + one->cycles - 1;
  for (Registers left = one->writes; left; left &= left - 1) ready[__builtin_ctzll(left)] = start + one->latency;
}

static int64_t end(void) { return now + (taken != 0); }

// What comes from the harness finds every result there; what was jumped to begins a cycle, behind the refill.
uint64_t execute(const Model* model, const void* prepared, Entry entry) {
  const Operations* block = prepared;
  const int64_t before = end();
  if (entry != FOLLOWS) {
    now = before + model->refill;
    taken = 0;
  }
  if (entry == ENTERED) memset(ready, 0, sizeof ready);
  for (size_t i = 0; i < block->n; ++i) begin(&block->operations[i]);
  return (uint64_t)(end() - before);
}
