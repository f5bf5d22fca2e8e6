// Single precision of the ESP8266's ROM (board_rom.c), IEEE 754 with ties to even.
#include <stdint.h>

extern uint64_t __umulsidi3(uint32_t a, uint32_t b);

typedef union {
  float value;
  uint32_t bits;
} Float;

typedef struct {
  uint32_t sign;  // bit 31
  int exponent;   // biased; 1 for what is subnormal, before it is normalised
  uint32_t significand;
} Parts;

enum { SIGN = (int)0x80000000, INFINITE = 0x7F800000, NOT_A_NUMBER = 0x7FC00000, LEADING = 1 << 30, EXTRA = 7 };

static float as_float(uint32_t bits) { return (Float){.bits = bits}.value; }

// `value` in units of 2^n, what is lost kept as one bit.
static uint32_t shifted_right(uint32_t value, int n) {
  if (n > 31 || value == 0) return value != 0;
  return n == 0 ? value : value >> n | (value << (32 - n) != 0);
}

static Parts normalised(Parts parts) {
  if (parts.significand == 0) return parts;
  const int shift = __builtin_clz(parts.significand) - 1;
  if (shift < 0) return (Parts){parts.sign, parts.exponent + 1, shifted_right(parts.significand, 1)};
  return (Parts){parts.sign, parts.exponent - shift, parts.significand << shift};
}

// Of a finite number; the leading bit of its significand at LEADING.
static Parts parts_of(uint32_t bits) {
  const uint32_t exponent = bits >> 23 & 0xFF, fraction = bits & 0x7FFFFF;
  const uint32_t significand = exponent ? fraction | 0x800000 : fraction;
  return normalised((Parts){bits & (uint32_t)SIGN, exponent ? (int)exponent : 1, significand << EXTRA});
}

static float rounded(Parts parts) {
  if (parts.significand == 0) return as_float(parts.sign);
  if (parts.exponent >= 255) return as_float(parts.sign | INFINITE);
  int exponent = parts.exponent;
  uint32_t significand = parts.significand;
  if (exponent < 1) {
    significand = shifted_right(significand, 1 - exponent);
    exponent = 1;
  }
  const uint32_t lost = significand & 0x7F;
  significand = (significand + 0x40) >> EXTRA;
  if (lost == 0x40) significand &= ~1u;
  // The leading bit counts as one of the exponent; so does what rounding carries into it.
  return as_float(parts.sign | ((((uint32_t)exponent - 1) << 23) + significand));
}

static uint32_t magnitude(uint32_t bits) { return bits & 0x7FFFFFFF; }

static float sum(uint32_t a, uint32_t b) {
  if (magnitude(a) < magnitude(b)) return sum(b, a);
  if (magnitude(a) >= INFINITE) {
    const int cancels = magnitude(b) == INFINITE && a != b;
    return as_float(magnitude(a) > INFINITE || cancels ? NOT_A_NUMBER : a);
  }
  const Parts larger = parts_of(a), smaller = parts_of(b);
  if (larger.significand == 0) return as_float(a & b);
  const uint32_t aligned = shifted_right(smaller.significand, larger.exponent - smaller.exponent);
  const int differ = larger.sign != smaller.sign;
  const uint32_t total = differ ? larger.significand - aligned : larger.significand + aligned;
  return rounded(normalised((Parts){total ? larger.sign : 0, larger.exponent, total}));
}

float __addsf3(float a, float b) { return sum((Float){a}.bits, (Float){b}.bits); }

float __subsf3(float a, float b) { return sum((Float){a}.bits, (Float){b}.bits ^ (uint32_t)SIGN); }

float __mulsf3(float a, float b) {
  const uint32_t one = (Float){a}.bits, other = (Float){b}.bits, sign = (one ^ other) & (uint32_t)SIGN;
  if (magnitude(one) >= INFINITE || magnitude(other) >= INFINITE) {
    const int number = magnitude(one) <= INFINITE && magnitude(other) <= INFINITE;
    return as_float(number && magnitude(one) && magnitude(other) ? sign | INFINITE : NOT_A_NUMBER);
  }
  const Parts first = parts_of(one), second = parts_of(other);
  const uint64_t product = __umulsidi3(first.significand << 1, second.significand << 1);  // leading bit at 62 or 63
  const uint32_t significand = (uint32_t)(product >> 32) | ((uint32_t)product != 0);
  return rounded(normalised((Parts){sign, first.exponent + second.exponent - 127, significand}));
}

float __floatunsisf(uint32_t value) { return rounded(normalised((Parts){0, 127 + 30, value})); }

float __floatsisf(int32_t value) {
  const uint32_t size = value < 0 ? 0u - (uint32_t)value : (uint32_t)value;
  return rounded(normalised((Parts){value < 0 ? (uint32_t)SIGN : 0, 127 + 30, size}));
}

uint32_t __fixunssfsi(float value) {
  const Parts parts = parts_of((Float){value}.bits);
  const int shift = 127 + 30 - parts.exponent;
  return shift < 0 ? parts.significand << -shift : shift > 31 ? 0 : parts.significand >> shift;
}
