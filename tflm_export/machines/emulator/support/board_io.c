// Console, files and memory of the harness.
#include "board.h"
#include "board_host.h"

static uint32_t length_of(const char* text) {
  uint32_t length = 0;
  while (text[length]) ++length;
  return length;
}

void board_print(const char* text) { host_print(text, length_of(text)); }

void board_exit(int status) {
  host_exit(status);
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

void board_print_hex(const char* name, uint32_t value) {
  char text[12] = " 0x00000000";
  for (int i = 0; i < 8; ++i) text[3 + i] = "0123456789abcdef"[(value >> (28 - 4 * i)) & 15];
  board_print(name);
  board_print(text);
}

static void fail(const char* what, const char* name) {
  board_print("BOARD cannot ");
  board_print(what);
  board_print(" file ");
  board_print(name);
  board_print("\n");
  board_exit(98);
}

static int open_file(const char* name, Access access) {
  const int file = host_open(name, length_of(name), access);
  if (file < 0) fail("open", name);
  return file;
}

uint32_t board_file_size(const char* name) {
  const int file = open_file(name, READ);
  const uint32_t bytes = host_size(file);
  host_close(file);
  return bytes;
}

void board_read(const char* name, void* data, uint32_t bytes) {
  const int file = open_file(name, READ);
  if (host_read(file, data, bytes) != 0) fail("read enough of", name);
  host_close(file);
}

void board_write(const char* name, const void* data, uint32_t bytes) {
  const int file = open_file(name, WRITE);
  if (bytes && host_write(file, data, bytes) != 0) fail("write", name);
  host_close(file);
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
