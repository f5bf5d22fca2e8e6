#include "cortex_m4.h"

// How an instruction's bits give its cycles.
typedef enum {
  FIXED,       // `base`
  LIST_8,      // 1 + the registers of bits 0-7
  LIST_9,      // 1 + the registers of bits 0-8
  LIST_16,     // 1 + the registers of the second half-word
  FLOAT_LIST,  // 1 + the words that bits 0-7 of the second half-word count
} Rule;

typedef struct {
  uint32_t mask, value;  // of the half-word, or of first << 16 | second
  Rule rule;
  int base;
  Pipelining pipelining;
  int reads;
} Pattern;

// The first pattern that fits counts; what fits none is one cycle.
static const Pattern SHORT[] = {
    {0xF800, 0x4800, FIXED, 2, LOAD, 1},    // LDR literal
    {0xFE00, 0x5000, FIXED, 1, STORE, 0},   // STR register offset
    {0xFE00, 0x5200, FIXED, 1, STORE, 0},   // STRH
    {0xFE00, 0x5400, FIXED, 1, STORE, 0},   // STRB
    {0xF000, 0x5000, FIXED, 2, LOAD, 1},    // LDR(S)(B|H) register offset
    {0xF800, 0x6000, FIXED, 1, STORE, 0},   // STR immediate offset
    {0xF800, 0x6800, FIXED, 2, LOAD, 1},    // LDR
    {0xF800, 0x7000, FIXED, 1, STORE, 0},   // STRB
    {0xF800, 0x7800, FIXED, 2, LOAD, 1},    // LDRB
    {0xF800, 0x8000, FIXED, 1, STORE, 0},   // STRH
    {0xF800, 0x8800, FIXED, 2, LOAD, 1},    // LDRH
    {0xF800, 0x9000, FIXED, 1, STORE, 0},   // STR SP offset
    {0xF800, 0x9800, FIXED, 2, LOAD, 1},    // LDR SP offset
    {0xFE00, 0xB400, LIST_9, 0, ALONE, 0},  // PUSH
    {0xFE00, 0xBC00, LIST_9, 0, ALONE, 1},  // POP
    {0xF800, 0xC000, LIST_8, 0, ALONE, 0},  // STM
    {0xF800, 0xC800, LIST_8, 0, ALONE, 1},  // LDM
};

static const Pattern LONG[] = {
    {0xFFF0FFE0, 0xE8D0F000, FIXED, 2, ALONE, 1},        // TBB, TBH
    {0xFE500000, 0xE8100000, LIST_16, 0, ALONE, 1},      // LDM, POP
    {0xFE500000, 0xE8000000, LIST_16, 0, ALONE, 0},      // STM, PUSH
    {0xFF700000, 0xE8500000, FIXED, 2, LOAD, 1},         // LDREX
    {0xFF700000, 0xE8400000, FIXED, 2, LOAD, 0},         // STREX: as LDREX
    {0xFFF000C0, 0xE8D00040, FIXED, 2, LOAD, 1},         // LDREXB, LDREXH
    {0xFFF000C0, 0xE8C00040, FIXED, 2, LOAD, 0},         // STREXB, STREXH
    {0xFE500000, 0xE8500000, FIXED, 3, ALONE, 1},        // LDRD
    {0xFE500000, 0xE8400000, FIXED, 3, ALONE, 0},        // STRD
    {0xFFE00000, 0xEC400000, FIXED, 2, ALONE, 0},        // VMOV of two registers
    {0xFF300F00, 0xED100A00, FIXED, 2, LOAD, 1},         // VLDR, 32 bits
    {0xFF300F00, 0xED100B00, FIXED, 3, ALONE, 1},        // VLDR, 64 bits
    {0xFF300F00, 0xED000A00, FIXED, 2, ALONE, 0},        // VSTR, 32 bits
    {0xFF300F00, 0xED000B00, FIXED, 3, ALONE, 0},        // VSTR, 64 bits
    {0xFE100E00, 0xEC100A00, FLOAT_LIST, 0, ALONE, 1},   // VLDM, VPOP
    {0xFE100E00, 0xEC000A00, FLOAT_LIST, 0, ALONE, 0},   // VSTM, VPUSH
    {0xFF000010, 0xEE000010, FIXED, 1, ALONE, 0},        // VMOV, VMRS, VMSR
    {0xFFB00E00, 0xEE000A00, FIXED, 3, ALONE, 0},        // VMLA, VMLS
    {0xFFB00E00, 0xEE100A00, FIXED, 3, ALONE, 0},        // VNMLA, VNMLS
    {0xFFB00E00, 0xEE900A00, FIXED, 3, ALONE, 0},        // VFNMA, VFNMS
    {0xFFB00E00, 0xEEA00A00, FIXED, 3, ALONE, 0},        // VFMA, VFMS
    {0xFFB00E00, 0xEE800A00, FIXED, 14, ALONE, 0},       // VDIV
    {0xFFBF0ED0, 0xEEB10AC0, FIXED, 14, ALONE, 0},       // VSQRT
    {0xFE50F000, 0xF810F000, FIXED, 1, ALONE, 0},        // PLD, PLI: hints
    {0xFE100000, 0xF8100000, FIXED, 2, LOAD, 1},         // LDR(S)(B|H), any offset
    {0xFE100000, 0xF8000000, FIXED, 1, STORE, 0},        // STR(B|H), any offset
    {0xFFD000F0, 0xFB9000F0, FIXED, 7, ALONE, 0},        // SDIV, UDIV: 2 to 12, by the values
};

static int cycles_of(const Pattern* pattern, uint32_t bits) {
  switch (pattern->rule) {
    case LIST_8: return 1 + __builtin_popcount(bits & 0xFF);
    case LIST_9: return 1 + __builtin_popcount(bits & 0x1FF);
    case LIST_16: return 1 + __builtin_popcount(bits & 0xFFFF);
    case FLOAT_LIST: return 1 + (int)(bits & 0xFF);
    default: return pattern->base;
  }
}

static Cost cost_in(const Pattern* patterns, int n, uint32_t bits, unsigned bytes) {
  for (const Pattern* p = patterns; p < patterns + n; ++p) {
    if ((bits & p->mask) == p->value) return (Cost){bytes, cycles_of(p, bits), p->pipelining, p->reads};
  }
  return (Cost){bytes, 1, ALONE, 0};
}

// The first five bits tell the length; QEMU's own word is wrong for the last instruction of a page.
Cost cortex_m4_cost(const uint8_t* code) {
  const uint32_t first = code[0] | (uint32_t)code[1] << 8;
  if (first >> 11 < 0x1D) return cost_in(SHORT, sizeof SHORT / sizeof *SHORT, first, 2);
  const uint32_t second = code[2] | (uint32_t)code[3] << 8;
  return cost_in(LONG, sizeof LONG / sizeof *LONG, first << 16 | second, 4);
}

int cortex_m4_overlap(Pipelining previous, Pipelining next) { return next == LOAD && previous != ALONE; }
