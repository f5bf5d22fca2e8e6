// Instructions by their bits.
#pragma once
#include <stddef.h>

#include "instruction.h"

#define MANY(patterns) (sizeof patterns / sizeof *patterns)

// Where the list of words is.
typedef enum { NONE, BITS_8, BITS_9, BITS_16, COUNT_8 } List;

typedef struct {
  uint32_t mask, value;
  Kind kind;
  List list;
  int reads;
  const char* operands;  // two letters each: how, and where. How: w written, r read, x both, e read early, l read late
} Pattern;

// The bit that a digit, or a letter from A = 10 on, is.
static inline int place_of(char where) { return where <= '9' ? where - '0' : where - 'A' + 10; }

// The registers that an operand `where` of an instruction is.
typedef Registers Operand(const Pattern* pattern, char where, uint32_t bits, unsigned bytes);

// By the first of `n` patterns that fits; what fits none is PLAIN, without operands.
Instruction by_pattern(const Pattern* patterns, size_t n, uint32_t bits, unsigned bytes, Operand* operand);
