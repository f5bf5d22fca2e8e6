// What the model of a core is to the counter: the cycles of a block of instructions, without wait states.
// docs/measuring.md says what each leaves out.
#pragma once
#include <stddef.h>

#include "instruction.h"

// How a block was come to.
typedef enum {
  FOLLOWS,  // it stands behind the block that ran last
  JUMPED,   // by a branch of the engine's
  ENTERED,  // from the harness
} Entry;

// How an instruction overlaps with its neighbour: the address phase of a single load hides behind the single load
// or store before it.
typedef enum {
  ALONE,   // neither hides nor lets hide
  HIDES,   // a cycle less behind one that HIDES or LETS
  LETS,    // its one cycle is the address phase: the write buffer takes the data
} Overlap;

typedef struct {
  int cycles;  // on its own; a branch not taken
  int a_word;  // more for each word of a list
  Overlap overlap;
} Price;

// What an instruction takes of the cycle in which it begins, of a model that is a pipeline.
enum { MEMORY = 1, MULTIPLIER = 2, SHIFTER = 4, FLOATING = 8, BRANCHING = 16, FIRST = 32, WHOLE = 64 };

typedef struct {
  int needs;    // FIRST: only as the first of two; WHOLE: by itself
  int latency;  // cycles until another may read the result
  int cycles;   // in which nothing else begins; 0 counts as 1
  int a_word;   // the same for each word of a list
} Timing;

typedef struct Model Model;
struct Model {
  const char* name;
  Decode* decode;
  void* (*prepare)(const Model* model, const Instruction* instructions, size_t n);  // lives as long as the plugin
  uint64_t (*run)(const Model* model, const void* prepared, Entry entry);           // its cycles this time
  int refill;             // cycles that a taken branch adds
  const Price* prices;    // of a model that is a table, by kind; what has 0 cycles costs 1
  const Timing* timings;  // of a model that is a pipeline, by kind
};

// The model called `name`; NULL for none.
const Model* model_named(const char* name);

// A table's (tables.c) and a pipeline's (pipeline.c).
void* add_up(const Model* model, const Instruction* instructions, size_t n);
uint64_t look_up(const Model* model, const void* prepared, Entry entry);
void* keep(const Model* model, const Instruction* instructions, size_t n);
uint64_t execute(const Model* model, const void* prepared, Entry entry);

extern const Timing CORTEX_M7[KINDS], ESP32[KINDS], ESP32C3[KINDS];
