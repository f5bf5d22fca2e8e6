// Flash that a store may use: whole pages, outside of the program. docs/store.md.
#ifndef TFODL_STORE_FLASH_AREA_H
#define TFODL_STORE_FLASH_AREA_H
#include <stdint.h>
#include <string.h>

namespace tfodl {

constexpr uint32_t kMostWriteBytes = 32;

// pages [4, 64], page_bytes a power of two [256, 131072], write_bytes 4, 8, 16 or 32 and at least page_bytes / 16384;
// all of it at most 65536 * write_bytes.
// Erased bytes are 0xFF, and a unit of write_bytes is written at most once between two erases.
class FlashArea {
 public:
  FlashArea(uint32_t page_size, uint8_t page_count, uint8_t write_size, uint8_t slices)
      : page_bytes(page_size), pages(page_count), write_bytes(write_size), erase_slices(slices) {}

  // at: bytes from the start of the area. write: at and n are multiples of write_bytes.
  virtual void read(uint32_t at, void* data, uint32_t n) const = 0;
  virtual void write(uint32_t at, const void* data, uint32_t n) = 0;

  // A part of an erase, short enough for the main loop to stand still; erase_slices of them erase the page.
  virtual void erase_slice(uint8_t page) = 0;

  // A whole page, with a pause after each of its slices. A function of its own, made small: it is called seldom.
  __attribute__((noinline, cold)) void erase(uint32_t page) {
    for (uint8_t i = 0; i < erase_slices; ++i) {
      erase_slice(static_cast<uint8_t>(page));
      pause();
    }
  }

  // Whether the supply is good for a write or an erase. Asked before a transaction.
  virtual bool may_write() { return true; }

  // After every stop: a chance to serve a watchdog or a serial line. Must not use the store.
  virtual void pause() {}

  const uint32_t page_bytes;
  const uint8_t pages, write_bytes, erase_slices;

 protected:
  ~FlashArea() = default;
};

// Memory in place of flash: an image that a host keeps in a file.
class MemoryFlash : public FlashArea {
 public:
  // memory [pages * page_bytes], the caller's.
  MemoryFlash(uint8_t* memory, uint32_t page_size, uint8_t page_count, uint8_t write_size = 4)
      : FlashArea(page_size, page_count, write_size, 1), memory_(memory) {}

  void read(uint32_t at, void* data, uint32_t n) const override { memcpy(data, memory_ + at, n); }
  void write(uint32_t at, const void* data, uint32_t n) override {
    for (uint32_t i = 0; i < n; ++i) memory_[at + i] &= static_cast<const uint8_t*>(data)[i];
  }
  void erase_slice(uint8_t page) override {
    memset(memory_ + page * page_bytes, 0xFF, page_bytes);
  }

 private:
  uint8_t* memory_;
};

}  // namespace tfodl

#endif  // TFODL_STORE_FLASH_AREA_H
