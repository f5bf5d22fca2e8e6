// The simulator's calls: `simcall` with a number in a2 and arguments behind it.
#include "board_host.h"

enum { SYS_EXIT = 1, SYS_READ = 3, SYS_WRITE = 4, SYS_OPEN = 5, SYS_CLOSE = 6, SYS_LSEEK = 19 };
enum { CONSOLE = 1, FROM_THE_START = 0, FROM_THE_END = 2, MODE = 0644 };
enum { READ_ONLY = 0, WRITE_CREATE = 0x241 };  // Linux's; 0x200 is also what QEMU from 8 on takes for "create"

static int call(int number, uint32_t first, uint32_t second, uint32_t third) {
  register int a2 __asm("a2") = number;
  register uint32_t a3 __asm("a3") = first;
  register uint32_t a4 __asm("a4") = second;
  register uint32_t a5 __asm("a5") = third;
  __asm volatile("simcall" : "+r"(a2), "+r"(a3) : "r"(a4), "r"(a5) : "memory");
  return a2;
}

void host_print(const char* text, uint32_t length) { call(SYS_WRITE, CONSOLE, (uint32_t)text, length); }

void host_exit(int status) { call(SYS_EXIT, (uint32_t)status, 0, 0); }

int host_open(const char* name, uint32_t length, Access access) {
  (void)length;
  return call(SYS_OPEN, (uint32_t)name, access == READ ? READ_ONLY : WRITE_CREATE, MODE);
}

void host_close(int file) { call(SYS_CLOSE, (uint32_t)file, 0, 0); }

uint32_t host_size(int file) {
  const uint32_t bytes = (uint32_t)call(SYS_LSEEK, (uint32_t)file, 0, FROM_THE_END);
  call(SYS_LSEEK, (uint32_t)file, 0, FROM_THE_START);
  return bytes;
}

// A call may move less than it is asked to.
static int transfer(int number, int file, uint32_t data, uint32_t bytes) {
  while (bytes) {
    const int moved = call(number, (uint32_t)file, data, bytes);
    if (moved <= 0) return -1;
    data += (uint32_t)moved;
    bytes -= (uint32_t)moved;
  }
  return 0;
}

int host_read(int file, void* data, uint32_t bytes) { return transfer(SYS_READ, file, (uint32_t)data, bytes); }

int host_write(int file, const void* data, uint32_t bytes) { return transfer(SYS_WRITE, file, (uint32_t)data, bytes); }
