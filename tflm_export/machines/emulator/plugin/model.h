// What the model of a core is to the counter: the cycles of a block of instructions, without wait states.
// docs/measuring.md says what each leaves out.
#pragma once
#include <stddef.h>

#include "thumb.h"

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

typedef struct Model Model;
struct Model {
  const char* name;
  void* (*prepare)(const Model* model, const Instruction* instructions, size_t n);  // lives as long as the plugin
  uint64_t (*run)(const Model* model, const void* prepared, Entry entry);           // its cycles this time
  const Price* prices;  // of a model that is a table, by kind; what has 0 cycles costs 1
  int refill;           // of such a model: cycles that a taken branch adds
};

// The model called `name`; NULL for none.
const Model* model_named(const char* name);

extern const Model CORTEX_M7;
