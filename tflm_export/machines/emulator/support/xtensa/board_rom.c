// What Debian's libgcc of the LX106 leaves to the ESP8266's ROM. An ESP32 has instructions for most of it: as a part of
// the harness each costs the call alone.
#include <stdint.h>

typedef union {
  uint64_t whole;
  struct {
    uint32_t low, high;
  };
} Wide;

// The compiler would call __umulsidi3 for a product of 64 bits.
static Wide product(uint32_t a, uint32_t b) {
  const uint32_t a0 = a & 0xFFFF, a1 = a >> 16, b0 = b & 0xFFFF, b1 = b >> 16;
  const uint32_t low = a0 * b0, left = a1 * b0, right = a0 * b1;
  const uint32_t middle = (low >> 16) + (left & 0xFFFF) + (right & 0xFFFF);
  Wide found;
  found.low = middle << 16 | (low & 0xFFFF);
  found.high = a1 * b1 + (left >> 16) + (right >> 16) + (middle >> 16);
  return found;
}

uint64_t __umulsidi3(uint32_t a, uint32_t b) { return product(a, b).whole; }

uint64_t __muldi3(uint64_t a, uint64_t b) {
  const Wide first = {a}, second = {b};
  Wide found = product(first.low, second.low);
  found.high += first.low * second.high + first.high * second.low;
  return found.whole;
}

static uint32_t divide(uint32_t dividend, uint32_t divisor, uint32_t* rest) {
  uint32_t quotient = 0, left = 0;
  for (int bit = 31; bit >= 0; --bit) {
    const uint32_t carry = left >> 31;
    left = left << 1 | (dividend >> bit & 1);
    if (carry || left >= divisor) {
      left -= divisor;
      quotient |= 1u << bit;
    }
  }
  *rest = left;
  return quotient;
}

uint32_t __udivsi3(uint32_t dividend, uint32_t divisor) {
  uint32_t rest;
  return divide(dividend, divisor, &rest);
}

uint32_t __umodsi3(uint32_t dividend, uint32_t divisor) {
  uint32_t rest;
  divide(dividend, divisor, &rest);
  return rest;
}

static uint32_t size_of(int32_t value) { return value < 0 ? 0u - (uint32_t)value : (uint32_t)value; }

int32_t __divsi3(int32_t dividend, int32_t divisor) {
  const uint32_t quotient = __udivsi3(size_of(dividend), size_of(divisor));
  return (int32_t)((dividend ^ divisor) < 0 ? 0u - quotient : quotient);
}

extern uint64_t __udivmoddi4(uint64_t dividend, uint64_t divisor, uint64_t* rest);
extern int64_t __divmoddi4(int64_t dividend, int64_t divisor, int64_t* rest);

uint64_t __udivdi3(uint64_t dividend, uint64_t divisor) {
  uint64_t rest;
  return __udivmoddi4(dividend, divisor, &rest);
}

uint64_t __umoddi3(uint64_t dividend, uint64_t divisor) {
  uint64_t rest;
  __udivmoddi4(dividend, divisor, &rest);
  return rest;
}

int64_t __divdi3(int64_t dividend, int64_t divisor) {
  int64_t rest;
  return __divmoddi4(dividend, divisor, &rest);
}
