// What of the host a program on an emulated core may call; each emulator has calls of its own (arm, riscv, xtensa).
#pragma once
#include <stdint.h>

typedef enum { READ, WRITE } Access;

void host_print(const char* text, uint32_t length);
void host_exit(int status);
int host_open(const char* name, uint32_t length, Access access);  // below 0: it cannot
void host_close(int file);
uint32_t host_size(int file);
int host_read(int file, void* data, uint32_t bytes);  // 0 when all was read
int host_write(int file, const void* data, uint32_t bytes);
