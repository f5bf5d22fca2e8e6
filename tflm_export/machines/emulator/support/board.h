// What a program on the emulated board may call. Nothing here uses libc, so whatever libc the linked
// program holds was asked for by the engine and counts as the engine's.
#pragma once
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

// Console and files of the host's working directory.
void board_print(const char* text);
void board_print_number(const char* name, uint64_t value);  // "name value\n"
void board_print_hex(const char* name, uint32_t value);     // "name 0x0123abcd"
uint32_t board_file_size(const char* name);                 // exits with a message when it cannot be opened
void board_read(const char* name, void* data, uint32_t bytes);
void board_write(const char* name, const void* data, uint32_t bytes);
void board_exit(int status) __attribute__((noreturn));

// Bump allocator over RAM that is the harness's own (1 MB), 8-byte aligned.
void* board_alloc(uint32_t bytes);

// Calls function(argument) once, counted as `name` (run.py), and prints "<name> stack <bytes>": the deepest use
// below the caller's frame.
void board_measure(const char* name, void (*function)(void*), void* argument);

// Laps of the function that is being measured: call it twice at the start, then after every part. board_measure
// prints "lap <number>" for each.
void board_lap(uint32_t number);

#ifdef __cplusplus
}
#endif
