// Semihosting: operations SYS_* of Arm's "Semihosting for AArch32 and AArch64", which RISC-V has taken over.
#include "board_host.h"

enum { SYS_OPEN = 0x01, SYS_CLOSE = 0x02, SYS_WRITE0 = 0x04, SYS_WRITE = 0x05, SYS_READ = 0x06 };
enum { SYS_FLEN = 0x0C, SYS_EXIT_EXTENDED = 0x20, APPLICATION_EXIT = 0x20026 };
enum { READ_BINARY = 1, WRITE_BINARY = 5 };

#if defined(__riscv)
#define OPERATION "a0"
#define ARGUMENTS "a1"
// In one page, none of them compressed.
#define TRAP ".option push\n.option norvc\n.balign 16\nslli x0, x0, 0x1f\nebreak\nsrai x0, x0, 7\n.option pop"
#else
#define OPERATION "r0"
#define ARGUMENTS "r1"
#define TRAP "bkpt 0xab"
#endif

static int semihost(int operation, const void* arguments) {
  register int first __asm(OPERATION) = operation;
  register const void* second __asm(ARGUMENTS) = arguments;
  __asm volatile(TRAP : "+r"(first) : "r"(second) : "memory");
  return first;
}

void host_print(const char* text, uint32_t length) {
  (void)length;
  semihost(SYS_WRITE0, text);
}

void host_exit(int status) {
  const uint32_t arguments[2] = {APPLICATION_EXIT, (uint32_t)status};
  semihost(SYS_EXIT_EXTENDED, arguments);
}

int host_open(const char* name, uint32_t length, Access access) {
  const uint32_t arguments[3] = {(uint32_t)name, access == READ ? READ_BINARY : WRITE_BINARY, length};
  return semihost(SYS_OPEN, arguments);
}

void host_close(int file) { semihost(SYS_CLOSE, &file); }

uint32_t host_size(int file) { return (uint32_t)semihost(SYS_FLEN, &file); }

static int transfer(int operation, int file, uint32_t data, uint32_t bytes) {
  const uint32_t arguments[3] = {(uint32_t)file, data, bytes};
  return semihost(operation, arguments);
}

int host_read(int file, void* data, uint32_t bytes) { return transfer(SYS_READ, file, (uint32_t)data, bytes); }

int host_write(int file, const void* data, uint32_t bytes) { return transfer(SYS_WRITE, file, (uint32_t)data, bytes); }
