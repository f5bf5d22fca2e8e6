#include "thumb_patterns.h"

enum { STACK_POINTER = 13, LINK = 14, FLAGS = 15, FIRST_FLOAT = 16 };

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
    default: return core_register((bits >> place_of(where)) & (bytes == 2 ? 7 : 15));
  }
}

// The first five bits tell the length; QEMU's own word is wrong for the last instruction of a page.
Instruction thumb_decode(const uint8_t* code) {
  const uint32_t first = code[0] | (uint32_t)code[1] << 8;
  if (first >> 11 < 0x1D) return by_pattern(SHORT, MANY(SHORT), first, 2, operand);
  const uint32_t second = code[2] | (uint32_t)code[3] << 8;
  return by_pattern(LONG, MANY(LONG), first << 16 | second, 4, operand);
}
