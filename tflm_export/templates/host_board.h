// board.h of the emulated board for the host: the same program under address and undefined-behaviour sanitizers.
#pragma once
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

[[noreturn]] inline void board_exit(int status) { exit(status); }
inline void board_print(const char* text) { fputs(text, stdout); }
inline void board_print_number(const char* name, uint64_t value) {
  printf("%s %llu\n", name, static_cast<unsigned long long>(value));
}
inline FILE* board_open(const char* name, const char* mode) {
  FILE* file = fopen(name, mode);
  if (!file) exit(3);
  return file;
}
inline uint32_t board_file_size(const char* name) {
  FILE* file = board_open(name, "rb");
  fseek(file, 0, SEEK_END);
  const long size = ftell(file);
  fclose(file);
  return static_cast<uint32_t>(size);
}
inline void board_read(const char* name, void* data, uint32_t bytes) {
  FILE* file = board_open(name, "rb");
  if (fread(data, 1, bytes, file) != bytes) exit(3);
  fclose(file);
}
inline void board_write(const char* name, const void* data, uint32_t bytes) {
  FILE* file = board_open(name, "wb");
  if (fwrite(data, 1, bytes, file) != bytes) exit(3);
  fclose(file);
}
inline void* board_alloc(uint32_t bytes) { return malloc(bytes); }
inline void board_measure(const char*, void (*function)(void*), void* argument) { function(argument); }
