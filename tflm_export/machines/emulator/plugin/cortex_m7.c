// An estimate of the Cortex-M7, of which Arm publishes no timings: two instructions a cycle, in their order, when no
// operand and no unit stands in the way. All branches are foreseen, all accesses find their data.
#include <stdlib.h>
#include <string.h>

#include "model.h"

// What an instruction takes of the cycle in which it begins.
enum { MEMORY = 1, MULTIPLIER = 2, SHIFTER = 4, FLOATING = 8, BRANCHING = 16, FIRST = 32, WHOLE = 64 };
enum { BEGUN = 128, SECOND = 256 };  // one instruction has begun in it; two have

typedef struct {
  int needs;    // FIRST: only as the first of two; WHOLE: by itself
  int latency;  // cycles until another may read the result
  int cycles;   // in which nothing else begins; 0 counts as 1
  int a_word;   // the same for each word of a list
} Timing;

static const Timing TIMINGS[KINDS] = {
    [PLAIN] = {0, 1, 0, 0},
    [SHIFT] = {SHIFTER, 1, 0, 0},
    [DSP] = {FIRST, 1, 0, 0},
    [DSP_SHIFT] = {FIRST | SHIFTER, 1, 0, 0},
    [SATURATE] = {FIRST | SHIFTER, 2, 0, 0},
    [MULTIPLY] = {MULTIPLIER, 2, 0, 0},
    [DIVIDE] = {WHOLE, 7, 7, 0},
    [BRANCH] = {BRANCHING, 1, 0, 0},
    [CALL] = {BRANCHING, 1, 0, 0},
    [TABLE_BRANCH] = {WHOLE, 1, 2, 0},
    [SYSTEM] = {WHOLE, 3, 3, 0},
    [LOAD] = {MEMORY, 1, 0, 0},
    [NARROW_LOAD] = {MEMORY, 2, 0, 0},
    [STORE] = {MEMORY, 1, 0, 0},
    [EXCLUSIVE] = {WHOLE, 2, 0, 0},
    [PAIR] = {WHOLE, 2, 0, 0},
    [MULTIPLE] = {WHOLE, 1, 0, 1},
    [RETURN] = {WHOLE, 1, 0, 1},
    [FLOAT] = {FLOATING, 3, 0, 0},
    [FLOAT_MOVE] = {FLOATING, 3, 0, 0},
    [FLOAT_MOVE_PAIR] = {WHOLE, 3, 0, 0},
    [FLOAT_MULTIPLY_ADD] = {FLOATING, 6, 0, 0},
    [FLOAT_DIVIDE] = {WHOLE, 16, 16, 0},
    [FLOAT_LOAD] = {MEMORY, 1, 0, 0},
    [FLOAT_STORE] = {MEMORY, 1, 0, 0},
};

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

static Operation operation(const Instruction* one) {
  const Timing timing = TIMINGS[one->kind];
  const int busy = timing.cycles + timing.a_word * one->words;
  const int cycles = busy > 1 ? busy : 1;
  const int latency = timing.a_word ? cycles : timing.latency;
  const int lateness = one->kind == FLOAT_MULTIPLY_ADD ? 3 : 1;
  return (Operation){timing.needs, latency, cycles, lateness, one->early, one->normal, one->late, one->writes};
}

static void* keep(const Model* model, const Instruction* instructions, size_t n) {
  (void)model;
  Operations* kept = calloc(1, sizeof *kept + n * sizeof *kept->operations);
  kept->n = n;
  for (size_t i = 0; i < n; ++i) kept->operations[i] = operation(&instructions[i]);
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

// What comes from the harness finds every result there; what was jumped to begins a cycle.
static uint64_t execute(const Model* model, const void* prepared, Entry entry) {
  (void)model;
  const Operations* block = prepared;
  if (entry != FOLLOWS) {
    now = end();
    taken = 0;
  }
  if (entry == ENTERED) memset(ready, 0, sizeof ready);
  const int64_t before = end();
  for (size_t i = 0; i < block->n; ++i) begin(&block->operations[i]);
  return (uint64_t)(end() - before);
}

const Model CORTEX_M7 = {"cortex-m7", keep, execute, NULL, 0};
