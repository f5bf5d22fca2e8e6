// Reads an instruction's bytes in a line, hexadecimal; prints its length and the sets of registers that the decoder
// named by the argument finds: those named, and those written.
#include <stdio.h>
#include <string.h>

#include "instruction.h"

int main(int n, char** arguments) {
  if (n != 2) return 1;
  const int riscv = strcmp(arguments[1], "riscv") == 0, xtensa = strcmp(arguments[1], "xtensa") == 0;
  Decode* const decode = riscv ? riscv_decode : xtensa ? xtensa_decode : thumb_decode;
  char line[32];
  while (fgets(line, sizeof line, stdin)) {
    unsigned bytes[4] = {0};
    sscanf(line, "%2x%2x%2x%2x", &bytes[0], &bytes[1], &bytes[2], &bytes[3]);
    const uint8_t code[4] = {(uint8_t)bytes[0], (uint8_t)bytes[1], (uint8_t)bytes[2], (uint8_t)bytes[3]};
    const Instruction one = decode(code);
    const Registers named = one.early | one.normal | one.late | one.writes;
    printf("%x %llx %llx\n", one.bytes, (unsigned long long)named, (unsigned long long)one.writes);
  }
  return 0;
}
