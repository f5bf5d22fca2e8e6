// What an instruction is: its kind, from which the model of a core has its price, and the registers that it reads and
// writes.
#pragma once
#include <stdint.h>

typedef enum {
  PLAIN,      // data processing, and whatever no pattern names
  SHIFT,      // the same with the shifter: LSL, or an operand that is shifted
  DSP,        // SXTB16, SADD16, SEL, CLZ
  DSP_SHIFT,  // the same with the shifter: PKHBT, UBFX, BFI, REV
  SATURATE,   // SSAT, USAT, QADD
  MULTIPLY,
  DIVIDE,
  BRANCH,
  CALL,          // BL, JAL, CALL0
  TABLE_BRANCH,  // TBB, TBH
  SYSTEM,        // special registers, barriers
  LOAD,          // of a word
  NARROW_LOAD,   // of a byte or a half-word
  STORE,
  EXCLUSIVE,  // LDREX, STREX
  PAIR,       // LDRD, STRD, VLDR and VSTR of 64 bits
  MULTIPLE,   // LDM, STM, PUSH, POP, VLDM, VSTM
  RETURN,     // POP of 16 bits, with the program counter
  FLOAT,
  FLOAT_MOVE,
  FLOAT_MOVE_PAIR,
  FLOAT_MULTIPLY_ADD,
  FLOAT_DIVIDE,  // and square root
  FLOAT_LOAD,
  FLOAT_STORE,
  KINDS
} Kind;

// A set of registers. Thumb: bits 0 to 14 are r0 to r14, then the flags, then s0 to s31. RISC-V: x1 to x31, no x0.
// Xtensa: a0 to a15, then the shift amount.
typedef uint64_t Registers;
enum { REGISTERS = 48 };

typedef struct {
  Kind kind;
  unsigned bytes;
  int words;       // of a MULTIPLE or a RETURN
  int reads;       // whether it reads memory
  Registers early;   // it reads as an address or through the shifter
  Registers normal;  // it reads
  Registers late;    // it stores, or adds a product to
  Registers writes;
} Instruction;

typedef Instruction Decode(const uint8_t* code);
Decode thumb_decode, riscv_decode, xtensa_decode;
