#ifndef TFODL_DETAIL_CRC32_H
#define TFODL_DETAIL_CRC32_H
#include <stdint.h>

namespace tfodl {

// CRC-32 (IEEE 802.3) of `n` more bytes; start and end with crc = 0.
uint32_t crc32(uint32_t crc, const void* data, uint32_t n);

}  // namespace tfodl

#endif  // TFODL_DETAIL_CRC32_H
