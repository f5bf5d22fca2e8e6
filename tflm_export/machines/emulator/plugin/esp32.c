// Estimates of the cores of Espressif's chips, of which no table of cycles is published: one instruction a cycle, in
// their order, each when its operands are there. All accesses find their data.
#include "model.h"

// RISC-V with four stages, as RV32IMC.
const Timing ESP32C3[KINDS] = {
    [PLAIN] = {WHOLE, 1, 0, 0},       [MULTIPLY] = {WHOLE, 1, 0, 0},    [DIVIDE] = {WHOLE, 8, 8, 0},
    [BRANCH] = {WHOLE, 1, 0, 0},      [CALL] = {WHOLE, 1, 0, 0},        [SYSTEM] = {WHOLE, 1, 0, 0},
    [LOAD] = {WHOLE, 2, 0, 0},        [NARROW_LOAD] = {WHOLE, 2, 0, 0}, [STORE] = {WHOLE, 1, 0, 0},
};

// Xtensa LX6 and LX7 with seven stages.
const Timing ESP32[KINDS] = {
    [PLAIN] = {WHOLE, 1, 0, 0},  [SHIFT] = {WHOLE, 1, 0, 0},  [MULTIPLY] = {WHOLE, 2, 0, 0},
    [BRANCH] = {WHOLE, 1, 0, 0}, [CALL] = {WHOLE, 1, 0, 0},   [SYSTEM] = {WHOLE, 1, 0, 0},
    [LOAD] = {WHOLE, 3, 0, 0},   [NARROW_LOAD] = {WHOLE, 3, 0, 0}, [STORE] = {WHOLE, 1, 0, 0},
};
