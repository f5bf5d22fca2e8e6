// Every model, by its name.
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

// P of a taken branch is 1 to 3 on the M4, by the target's alignment and width. Of the M33 Arm publishes no table: its
// model is the M4's.
static const Model MODELS[] = {
    {"cortex-m0plus", thumb_decode, add_up, look_up, 1, M0PLUS, NULL},
    {"cortex-m4", thumb_decode, add_up, look_up, 2, M4, NULL},
    {"cortex-m33", thumb_decode, add_up, look_up, 2, M4, NULL},
    {"cortex-m7", thumb_decode, keep, execute, 0, NULL, CORTEX_M7},
    {"rv32imc", riscv_decode, keep, execute, 2, NULL, ESP32C3},
    {"xtensa", xtensa_decode, keep, execute, 3, NULL, ESP32},
};

const Model* model_named(const char* name) {
  for (size_t i = 0; i < sizeof MODELS / sizeof *MODELS; ++i) {
    if (strcmp(MODELS[i].name, name) == 0) return &MODELS[i];
  }
  return NULL;
}
