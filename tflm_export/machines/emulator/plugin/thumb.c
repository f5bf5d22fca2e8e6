#include "thumb.h"

#include "patterns.h"

#define MANY(patterns) (int)(sizeof patterns / sizeof *patterns)

static Registers core_register(unsigned number) { return number < FLAGS ? (Registers)1 << number : 0; }

// A floating-point register whose number has its four upper bits at `at` and its last bit at `last`; two of them where
// bit 8 says that it is of 64 bits.
static Registers float_register(uint32_t bits, int at, int last) {
  const unsigned four = (bits >> at) & 15, one = (bits >> last) & 1;
  const int wide = (bits >> 8) & 1;
  if (wide && one) return 0;  // d16 and above: no core has them
  return (Registers)(wide ? 3 : 1) << (FIRST_FLOAT + 2 * four + one);
}

static Registers listed(const Pattern* pattern, uint32_t bits) {
  switch (pattern->list) {
    case BITS_8:
    case BITS_9: return bits & 0xFF;  // the link register and the program counter are left out
    case BITS_16: return bits & 0x7FFF;
    case COUNT_8: {
      const Registers first = float_register(bits & ~0x100u, 12, 22);
      return (first << (bits & 31)) - first;  // never all 32 of them
    }
    default: return 0;
  }
}

static int words(List list, uint32_t bits) {
  switch (list) {
    case BITS_8: return __builtin_popcount(bits & 0xFF);
    case BITS_9: return __builtin_popcount(bits & 0x1FF);
    case BITS_16: return __builtin_popcount(bits & 0xFFFF);
    case COUNT_8: return (int)(bits & 0xFF);
    default: return 0;
  }
}

static Registers operand(const Pattern* pattern, char where, uint32_t bits, unsigned bytes) {
  switch (where) {
    case 'h': return core_register((bits & 7) | ((bits >> 4) & 8));
    case 'm': return core_register((bits >> 3) & 15);
    case 's': return core_register(STACK_POINTER);
    case 'p': return core_register(LINK);
    case 'f': return (Registers)1 << FLAGS;
    case 'i': return (Registers)((bits >> 20) & 1) << FLAGS;
    case 'd': return float_register(bits, 12, 22);
    case 'n': return float_register(bits, 16, 7);
    case 't': return float_register(bits, 0, 5);
    case 'o': return listed(pattern, bits);
    default: {
      const int at = where <= '9' ? where - '0' : where - 'A' + 10;
      return core_register((bits >> at) & (bytes == 2 ? 7 : 15));
    }
  }
}

static Instruction described(const Pattern* pattern, uint32_t bits, unsigned bytes) {
  Instruction found = {pattern->kind, bytes, words(pattern->list, bits), pattern->reads, 0, 0, 0, 0};
  for (const char* text = pattern->operands; *text; text += 2) {
    const Registers one = operand(pattern, text[1], bits, bytes);
    if (*text == 'e') found.early |= one;
    if (*text == 'r' || *text == 'x') found.normal |= one;
    if (*text == 'l') found.late |= one;
    if (*text == 'w' || *text == 'x') found.writes |= one;
  }
  return found;
}

static Instruction first_fit(const Pattern* patterns, int n, uint32_t bits, unsigned bytes) {
  for (const Pattern* p = patterns; p < patterns + n; ++p) {
    if ((bits & p->mask) == p->value) return described(p, bits, bytes);
  }
  return (Instruction){PLAIN, bytes, 0, 0, 0, 0, 0, 0};
}

// The first five bits tell the length; QEMU's own word is wrong for the last instruction of a page.
Instruction thumb_decode(const uint8_t* code) {
  const uint32_t first = code[0] | (uint32_t)code[1] << 8;
  if (first >> 11 < 0x1D) return first_fit(SHORT, MANY(SHORT), first, 2);
  const uint32_t second = code[2] | (uint32_t)code[3] << 8;
  return first_fit(LONG, MANY(LONG), first << 16 | second, 4);
}
