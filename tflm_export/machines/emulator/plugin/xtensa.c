// The Xtensa instructions of an LX106, those with 16 bits among them, by their bits.
#include "pattern.h"

// Where an operand is: 4, 8 and C = 12 are the lowest bit of a register's number; p is the return address, f the shift
// amount.
static const Pattern SHORT[] = {
    {0x000F, 0x0008, LOAD, NONE, 1, "w4r8"},             // L32I.N
    {0x000F, 0x0009, STORE, NONE, 0, "r4r8"},            // S32I.N
    {0x000F, 0x000A, PLAIN, NONE, 0, "wCr8r4"},          // ADD.N
    {0x000F, 0x000B, PLAIN, NONE, 0, "wCr8"},            // ADDI.N
    {0x008F, 0x000C, PLAIN, NONE, 0, "w8"},              // MOVI.N
    {0x008F, 0x008C, BRANCH, NONE, 0, "r8"},             // BEQZ.N, BNEZ.N
    {0xF00F, 0x000D, PLAIN, NONE, 0, "w4r8"},            // MOV.N
    {0xF0FF, 0xF00D, BRANCH, NONE, 0, "rp"},             // RET.N
};
static const Pattern LONG[] = {
    {0xFFF0CF, 0x000080, BRANCH, NONE, 0, "r8"},         // RET, JX
    {0xFFF0CF, 0x0000C0, CALL, NONE, 0, "r8wp"},         // CALLX0
    {0xFFF0FF, 0x0020F0, PLAIN, NONE, 0, ""},            // NOP
    {0xFFF00F, 0x006000, SYSTEM, NONE, 0, "w4"},         // RSIL
    {0xFF000F, 0x000000, SYSTEM, NONE, 0, ""},           // ISYNC, RSYNC, MEMW, SIMCALL
    {0xFF000F, 0x100000, PLAIN, NONE, 0, "wCr8r4"},      // AND
    {0xEF000F, 0x200000, PLAIN, NONE, 0, "wCr8r4"},      // OR, XOR
    {0xFFC00F, 0x400000, SHIFT, NONE, 0, "r8wf"},        // SSR, SSL, SSA8L, SSA8B
    {0xFFF00F, 0x404000, SHIFT, NONE, 0, "wf"},          // SSAI
    {0xFFE00F, 0x40E000, PLAIN, NONE, 0, "w4r8"},        // NSA, NSAU
    {0xFF000F, 0x600000, PLAIN, NONE, 0, "wCr4"},        // NEG, ABS
    {0x8F000F, 0x800000, PLAIN, NONE, 0, "wCr8r4"},      // ADD, ADDX2, ADDX4, ADDX8, SUB, SUBX2, SUBX4, SUBX8
    {0xEF000F, 0x010000, SHIFT, NONE, 0, "wCr8"},        // SLLI
    {0xEF000F, 0x210000, SHIFT, NONE, 0, "wCr4"},        // SRAI
    {0xFF000F, 0x410000, SHIFT, NONE, 0, "wCr4"},        // SRLI
    {0xFF000F, 0x610000, SYSTEM, NONE, 0, "x4"},         // XSR
    {0xFF000F, 0x810000, SHIFT, NONE, 0, "wCr8r4rf"},    // SRC
    {0xFF000F, 0x910000, SHIFT, NONE, 0, "wCr4rf"},      // SRL
    {0xFF000F, 0xA10000, SHIFT, NONE, 0, "wCr8rf"},      // SLL
    {0xFF000F, 0xB10000, SHIFT, NONE, 0, "wCr4rf"},      // SRA
    {0xEF000F, 0xC10000, MULTIPLY, NONE, 0, "wCr8r4"},   // MUL16U, MUL16S
    {0xFF000F, 0x820000, MULTIPLY, NONE, 0, "wCr8r4"},   // MULL
    {0xFF00FF, 0x030030, SHIFT, NONE, 0, "w4rf"},        // RSR.SAR
    {0xFF000F, 0x030000, SYSTEM, NONE, 0, "w4"},         // RSR
    {0xFF0F0F, 0x130300, SHIFT, NONE, 0, "r4wf"},        // WSR.SAR
    {0xFF000F, 0x130000, SYSTEM, NONE, 0, "r4"},         // WSR
    {0xCF000F, 0x830000, PLAIN, NONE, 0, "xCr8r4"},      // MOVEQZ, MOVNEZ, MOVLTZ, MOVGEZ
    {0x0E000F, 0x040000, PLAIN, NONE, 0, "wCr4"},        // EXTUI
    {0x00000F, 0x000001, LOAD, NONE, 1, "w4"},           // L32R
    {0x00E00F, 0x000002, NARROW_LOAD, NONE, 1, "w4r8"},  // L8UI, L16UI
    {0x00F00F, 0x002002, LOAD, NONE, 1, "w4r8"},         // L32I
    {0x00C00F, 0x004002, STORE, NONE, 0, "r4r8"},        // S8I, S16I, S32I
    {0x00F00F, 0x009002, NARROW_LOAD, NONE, 1, "w4r8"},  // L16SI
    {0x00F00F, 0x00A002, PLAIN, NONE, 0, "w4"},          // MOVI
    {0x00E00F, 0x00C002, PLAIN, NONE, 0, "w4r8"},        // ADDI, ADDMI
    {0x00003F, 0x000005, CALL, NONE, 0, "wp"},           // CALL0
    {0x00003F, 0x000006, BRANCH, NONE, 0, ""},           // J
    {0x00000F, 0x000006, BRANCH, NONE, 0, "r8"},         // BEQZ, BNEZ, BLTZ, BGEZ, BEQI, BNEI, BLTI, BGEI, BLTUI, BGEUI
    {0x00600F, 0x006007, BRANCH, NONE, 0, "r8"},         // BBCI, BBSI
    {0x00000F, 0x000007, BRANCH, NONE, 0, "r8r4"},       // BNONE, BEQ, BLT, BLTU, BALL, BBC, BANY, BNE, BGE, ...
};

enum { RETURN_ADDRESS = 0, SHIFT_AMOUNT = 16 };

static Registers operand(const Pattern* pattern, char where, uint32_t bits, unsigned bytes) {
  (void)pattern, (void)bytes;
  switch (where) {
    case 'p': return (Registers)1 << RETURN_ADDRESS;
    case 'f': return (Registers)1 << SHIFT_AMOUNT;
    default: return (Registers)1 << ((bits >> place_of(where)) & 15);
  }
}

Instruction xtensa_decode(const uint8_t* code) {
  const uint32_t first = code[0] | (uint32_t)code[1] << 8;
  if (first & 8) return by_pattern(SHORT, MANY(SHORT), first, 2, operand);
  return by_pattern(LONG, MANY(LONG), (uint32_t)code[2] << 16 | first, 3, operand);
}
