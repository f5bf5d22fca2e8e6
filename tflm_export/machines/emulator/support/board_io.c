// Semihosting: console, files and exit (Arm "Semihosting for AArch32", operations SYS_*).
#include "board.h"

enum { SYS_OPEN = 0x01, SYS_CLOSE = 0x02, SYS_WRITE0 = 0x04, SYS_WRITE = 0x05, SYS_READ = 0x06 };
enum { SYS_FLEN = 0x0C, SYS_EXIT_EXTENDED = 0x20, APPLICATION_EXIT = 0x20026 };
enum { READ_BINARY = 1, WRITE_BINARY = 5 };

static int semihost(int operation, const void* arguments) {
  register int r0 __asm("r0") = operation;
  register const void* r1 __asm("r1") = arguments;
  __asm volatile("bkpt 0xab" : "+r"(r0) : "r"(r1) : "memory");
  return r0;
}

void board_print(const char* text) { semihost(SYS_WRITE0, text); }

void board_exit(int status) {
  const uint32_t arguments[2] = {APPLICATION_EXIT, (uint32_t)status};
  semihost(SYS_EXIT_EXTENDED, arguments);
  for (;;) {
  }
}

static uint32_t divide_by_ten(uint64_t* value) {  // long division by hand: no libgcc call
  uint64_t quotient = 0, rest = 0;
  for (int bit = 63; bit >= 0; --bit) {
    rest = (rest << 1) | ((*value >> bit) & 1);
    quotient <<= 1;
    if (rest >= 10) {
      rest -= 10;
      quotient |= 1;
    }
  }
  *value = quotient;
  return (uint32_t)rest;
}

void board_print_number(const char* name, uint64_t value) {
  char text[22];
  char* end = text + sizeof text;
  *--end = 0;
  *--end = '\n';
  do {
    *--end = (char)('0' + divide_by_ten(&value));
  } while (value && end > text);
  board_print(name);
  board_print(" ");
  board_print(end);
}

static void fail(const char* what, const char* name) {
  board_print("BOARD cannot ");
  board_print(what);
  board_print(" file ");
  board_print(name);
  board_print("\n");
  board_exit(98);
}

static uint32_t open_file(const char* name, uint32_t mode) {
  uint32_t length = 0;
  while (name[length]) ++length;
  const uint32_t arguments[3] = {(uint32_t)name, mode, length};
  const int handle = semihost(SYS_OPEN, arguments);
  if (handle < 0) fail("open", name);
  return (uint32_t)handle;
}

static void close_file(uint32_t handle) { semihost(SYS_CLOSE, &handle); }

uint32_t board_file_size(const char* name) {
  const uint32_t handle = open_file(name, READ_BINARY);
  const int bytes = semihost(SYS_FLEN, &handle);
  close_file(handle);
  return (uint32_t)bytes;
}

void board_read(const char* name, void* data, uint32_t bytes) {
  const uint32_t handle = open_file(name, READ_BINARY);
  const uint32_t arguments[3] = {handle, (uint32_t)data, bytes};
  if (semihost(SYS_READ, arguments) != 0) fail("read enough of", name);
  close_file(handle);
}

void board_write(const char* name, const void* data, uint32_t bytes) {
  const uint32_t handle = open_file(name, WRITE_BINARY);
  const uint32_t arguments[3] = {handle, (uint32_t)data, bytes};
  if (bytes && semihost(SYS_WRITE, arguments) != 0) fail("write", name);
  close_file(handle);
}

extern char board_heap_start, board_heap_end;

void* board_alloc(uint32_t bytes) {
  static char* next = &board_heap_start;
  char* const block = next;
  if (bytes > (uint32_t)(&board_heap_end - next)) {
    board_print("BOARD out of harness memory\n");
    board_exit(98);
  }
  next += (bytes + 7u) & ~7u;
  return block;
}
