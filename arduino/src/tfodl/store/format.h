// What stands in flash, little endian: docs/store.md. Internal.
#ifndef TFODL_STORE_FORMAT_H
#define TFODL_STORE_FORMAT_H
#include "tfodl/store/store.h"

namespace tfodl {

constexpr uint32_t kStoreMagic = 0x4C445401u;  // version 1 in the low byte
constexpr uint8_t kFirst = 1;      // the log begins here
constexpr uint8_t kContinues = 2;  // a transaction goes on from the page before
constexpr uint8_t kData = 0xD1;
constexpr uint8_t kCommit = 0xC3;  // key: the oldest page that is still needed
constexpr uint16_t kCommitted = 1;  // with the end of a page, in RAM: a commit stands there
constexpr uint32_t kMostPages = 64, kMostPageBytes = 131072;
constexpr uint32_t kLastSequence = 0xFFFFFF00u;

// At the start of every page.
struct Store::Page {
  uint32_t magic;
  uint8_t identity[8];
  uint32_t sequence;      // rises with every page that is opened
  uint16_t accepted_end;  // where the last commit before this page ends: grains in its page
  uint16_t previous_end;  // kContinues: where the page before this one ends
  uint8_t accepted_page;
  uint8_t oldest;         // the oldest page that is still needed
  uint8_t flags;
  uint8_t pages;          // of the area
  uint32_t crc;           // CRC-32 of all before
};

// In front of every record's payload. Behind it: CRC-32 of the page's sequence number, head and payload.
struct Store::Head {
  uint16_t bytes;
  uint8_t kind;
  uint8_t zero;
  uint16_t key;
  uint16_t index;
};

constexpr uint32_t kHeadBytes = 8;
constexpr uint32_t kPageHeadBytes = 28;

}  // namespace tfodl

#endif  // TFODL_STORE_FORMAT_H
