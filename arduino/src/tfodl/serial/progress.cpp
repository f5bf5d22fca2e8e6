#include "tfodl/detail/no_fma.h"
#include <string.h>

#include "tfodl/serial_protocol.h"

namespace tfodl {
namespace {

// `value` thousandths as "1.234"; returns past the end.
char* put_milli(uint32_t value, char* out) {
  char digits[10];
  int n = 0;
  for (uint32_t whole = value / 1000; n == 0 || whole != 0; whole /= 10) {
    digits[n++] = static_cast<char>('0' + whole % 10);
  }
  while (n > 0) *out++ = digits[--n];
  *out++ = '.';
  for (uint32_t unit = 100; unit != 0; unit /= 10) *out++ = static_cast<char>('0' + value / unit % 10);
  return out;
}

uint32_t milli(float value) {
  if (!(value > 0.0f)) return 0;  // NaN too
  return static_cast<uint32_t>((value < 1e6f ? value : 1e6f) * 1000.0f + 0.5f);
}

}  // namespace

int32_t format_progress(float loss, const char* name, float score, char* out) {
  char* p = out;
  memcpy(p, "loss:", 5);
  p = put_milli(milli(loss), p + 5);
  *p++ = '\t';
  for (int i = 0; i < 8 && name[i] != '\0'; ++i) *p++ = name[i];
  *p++ = ':';
  p = put_milli(milli(score), p);
  *p++ = '\n';
  *p = '\0';
  return static_cast<int32_t>(p - out);
}

}  // namespace tfodl
