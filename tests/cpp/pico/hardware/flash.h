// The SDK's flash functions, played: whole pages and sectors, bits that only fall, nothing else running.
#pragma once
#include <stddef.h>
#include <stdint.h>

#define FLASH_PAGE_SIZE 256u
#define FLASH_SECTOR_SIZE 4096u
extern uint8_t flash_memory[];
#define XIP_BASE (reinterpret_cast<uintptr_t>(flash_memory))
extern "C" {
void flash_range_erase(uint32_t offset, size_t count);
void flash_range_program(uint32_t offset, const uint8_t* data, size_t count);
}
