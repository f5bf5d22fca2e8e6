// RV32IMC by its bits.
#include "pattern.h"

// Where an operand is: 2, 7, F = 15 and K = 20 are the lowest of a register's five bits; a (at 7) and b (at 2) are
// three bits, of x8 to x15; s is the stack pointer, p the link register.
static const Pattern SHORT[] = {
    {0xE003, 0x0000, PLAIN, NONE, 0, "wbrs"},  // C.ADDI4SPN
    {0xE003, 0x4000, LOAD, NONE, 1, "wbra"},   // C.LW
    {0xE003, 0xC000, STORE, NONE, 0, "rbra"},  // C.SW
    {0xE003, 0x0001, PLAIN, NONE, 0, "x7"},    // C.ADDI
    {0xE003, 0x2001, CALL, NONE, 0, "wp"},     // C.JAL
    {0xE003, 0x4001, PLAIN, NONE, 0, "w7"},    // C.LI
    {0xEF83, 0x6101, PLAIN, NONE, 0, "xs"},    // C.ADDI16SP
    {0xE003, 0x6001, PLAIN, NONE, 0, "w7"},    // C.LUI
    {0xEC03, 0x8C01, PLAIN, NONE, 0, "xarb"},  // C.SUB, C.XOR, C.OR, C.AND
    {0xE003, 0x8001, PLAIN, NONE, 0, "xa"},    // C.SRLI, C.SRAI, C.ANDI
    {0xE003, 0xA001, BRANCH, NONE, 0, ""},     // C.J
    {0xC003, 0xC001, BRANCH, NONE, 0, "ra"},   // C.BEQZ, C.BNEZ
    {0xE003, 0x0002, PLAIN, NONE, 0, "x7"},    // C.SLLI
    {0xE003, 0x4002, LOAD, NONE, 1, "w7rs"},   // C.LWSP
    {0xF07F, 0x8002, BRANCH, NONE, 0, "r7"},   // C.JR
    {0xF003, 0x8002, PLAIN, NONE, 0, "w7r2"},  // C.MV
    {0xFFFF, 0x9002, SYSTEM, NONE, 0, ""},     // C.EBREAK
    {0xF07F, 0x9002, CALL, NONE, 0, "r7wp"},   // C.JALR
    {0xF003, 0x9002, PLAIN, NONE, 0, "x7r2"},  // C.ADD
    {0xE003, 0xC002, STORE, NONE, 0, "r2rs"},  // C.SWSP
};
static const Pattern LONG[] = {
    {0x0000005F, 0x00000017, PLAIN, NONE, 0, "w7"},          // LUI, AUIPC
    {0x0000007F, 0x0000006F, CALL, NONE, 0, "w7"},           // JAL
    {0x0000007F, 0x00000067, CALL, NONE, 0, "w7rF"},         // JALR
    {0x0000007F, 0x00000063, BRANCH, NONE, 0, "rFrK"},       // BEQ, BNE, BLT, BGE
    {0x0000707F, 0x00002003, LOAD, NONE, 1, "w7rF"},         // LW
    {0x0000007F, 0x00000003, NARROW_LOAD, NONE, 1, "w7rF"},  // LB, LH, LBU, LHU
    {0x0000007F, 0x00000023, STORE, NONE, 0, "rFrK"},        // SB, SH, SW
    {0x0000007F, 0x00000013, PLAIN, NONE, 0, "w7rF"},        // ADDI, SLTI, XORI, ORI, ANDI, SLLI, SRLI, SRAI
    {0xFE00407F, 0x02000033, MULTIPLY, NONE, 0, "w7rFrK"},   // MUL, MULH, MULHSU, MULHU
    {0xFE00407F, 0x02004033, DIVIDE, NONE, 0, "w7rFrK"},     // DIV, DIVU, REM, REMU
    {0x0000007F, 0x00000033, PLAIN, NONE, 0, "w7rFrK"},      // ADD, SUB, SLL, SLT, XOR, SRL, OR, AND
    {0x0000007F, 0x0000000F, SYSTEM, NONE, 0, ""},           // FENCE
    {0x0000407F, 0x00004073, SYSTEM, NONE, 0, "w7"},         // CSRRWI, CSRRSI, CSRRCI
    {0x0000007F, 0x00000073, SYSTEM, NONE, 0, "w7rF"},       // ECALL, EBREAK, CSRRW, CSRRS, CSRRC
};

static Registers numbered(unsigned number) { return (Registers)1 << number & ~(Registers)1; }  // x0 is none

static Registers operand(const Pattern* pattern, char where, uint32_t bits, unsigned bytes) {
  (void)pattern, (void)bytes;
  switch (where) {
    case 'a': return numbered(8 + ((bits >> 7) & 7));
    case 'b': return numbered(8 + ((bits >> 2) & 7));
    case 's': return numbered(2);
    case 'p': return numbered(1);
    default: return numbered((bits >> place_of(where)) & 31);
  }
}

Instruction riscv_decode(const uint8_t* code) {
  const uint32_t first = code[0] | (uint32_t)code[1] << 8;
  if ((first & 3) != 3) return by_pattern(SHORT, MANY(SHORT), first, 2, operand);
  const uint32_t second = code[2] | (uint32_t)code[3] << 8;
  return by_pattern(LONG, MANY(LONG), second << 16 | first, 4, operand);
}
