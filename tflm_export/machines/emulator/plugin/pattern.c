#include "pattern.h"

static int words(List list, uint32_t bits) {
  switch (list) {
    case BITS_8: return __builtin_popcount(bits & 0xFF);
    case BITS_9: return __builtin_popcount(bits & 0x1FF);
    case BITS_16: return __builtin_popcount(bits & 0xFFFF);
    case COUNT_8: return (int)(bits & 0xFF);
    default: return 0;
  }
}

static Instruction described(const Pattern* pattern, uint32_t bits, unsigned bytes, Operand* operand) {
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

Instruction by_pattern(const Pattern* patterns, size_t n, uint32_t bits, unsigned bytes, Operand* operand) {
  for (const Pattern* p = patterns; p < patterns + n; ++p) {
    if ((bits & p->mask) == p->value) return described(p, bits, bytes, operand);
  }
  return (Instruction){PLAIN, bytes, 0, 0, 0, 0, 0, 0};
}
