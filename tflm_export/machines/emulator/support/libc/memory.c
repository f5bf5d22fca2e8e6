// What programs need of a C library, for compilers that bring none.
#include <stddef.h>
#include <stdint.h>

void* memcpy(void* restrict to, const void* restrict from, size_t bytes);
void* memmove(void* to, const void* from, size_t bytes);
void* memset(void* to, int value, size_t bytes);
int memcmp(const void* a, const void* b, size_t bytes);
size_t strlen(const char* text);

typedef uint32_t __attribute__((may_alias)) Word;

static int whole_words(const void* a, const void* b) { return (((uintptr_t)a | (uintptr_t)b) & 3) == 0; }

void* memcpy(void* restrict to, const void* restrict from, size_t bytes) {
  uint8_t* out = to;
  const uint8_t* in = from;
  if (whole_words(to, from)) {
    for (; bytes >= 4; bytes -= 4, out += 4, in += 4) *(Word*)out = *(const Word*)in;
  }
  for (; bytes; --bytes) *out++ = *in++;
  return to;
}

void* memmove(void* to, const void* from, size_t bytes) {
  if ((uintptr_t)to - (uintptr_t)from >= bytes) return memcpy(to, from, bytes);
  uint8_t* out = (uint8_t*)to + bytes;
  const uint8_t* in = (const uint8_t*)from + bytes;
  for (; bytes; --bytes) *--out = *--in;
  return to;
}

void* memset(void* to, int value, size_t bytes) {
  uint8_t* out = to;
  if (whole_words(to, to)) {
    const uint32_t word = (uint8_t)value * 0x01010101u;
    for (; bytes >= 4; bytes -= 4, out += 4) *(Word*)out = word;
  }
  for (; bytes; --bytes) *out++ = (uint8_t)value;
  return to;
}

int memcmp(const void* a, const void* b, size_t bytes) {
  const uint8_t *one = a, *other = b;
  for (; bytes; --bytes, ++one, ++other) {
    if (*one != *other) return *one - *other;
  }
  return 0;
}

size_t strlen(const char* text) {
  const char* end = text;
  while (*end) ++end;
  return (size_t)(end - text);
}
