// Reads "<first> <second>" half-words, hexadecimal; prints the sets of registers that thumb.c finds: those named, and
// those written.
#include <stdio.h>

#include "thumb.h"

int main(void) {
  char line[32];
  while (fgets(line, sizeof line, stdin)) {
    unsigned first = 0, second = 0;
    sscanf(line, "%x %x", &first, &second);
    const uint8_t code[4] = {(uint8_t)first, (uint8_t)(first >> 8), (uint8_t)second, (uint8_t)(second >> 8)};
    const Instruction one = thumb_decode(code);
    const Registers named = one.early | one.normal | one.late | one.writes;
    printf("%llx %llx\n", (unsigned long long)named, (unsigned long long)one.writes);
  }
  return 0;
}
