// An estimate of the Cortex-M7, of which Arm publishes no timings: two instructions a cycle, in their order, when no
// operand and no unit stands in the way. All branches are foreseen, all accesses find their data.
#include "model.h"

const Timing CORTEX_M7[KINDS] = {
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
