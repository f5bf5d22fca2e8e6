// An engine's constants in an image of their own, beside the program: its place, its head, and whether it is there.
// docs/sketch.md, "Constants beside the sketch".
#ifndef TFODL_CONSTANTS_H
#define TFODL_CONSTANTS_H
#include <stdint.h>

namespace tfodl {

constexpr uint32_t kConstantsMagic = 0x434F4454;  // "TDOC"
constexpr uint32_t kConstantsFormat = 1;

// The image begins with it; little endian. bytes: of the image, this head too, a multiple of 4.
struct ConstantsHead {
  uint32_t magic, format;
  uint8_t engine[8];   // of what the constants are and how they lie
  uint32_t address;    // where the image belongs
  uint32_t bytes;
  uint32_t constants_crc;  // CRC-32 of the bytes behind the head
  uint32_t head_crc;       // CRC-32 of the 28 bytes before it
};
static_assert(sizeof(ConstantsHead) == 32, "its fields leave no gaps");

enum class ConstantsStatus : uint8_t {
  kOk = 0,
  kMissing = 1,  // no image begins there: never written, or half way
  kForeign = 2,  // another engine's, or of another format or place
  kDamaged = 3,  // its head or its constants do not fit their checksums
};

// Whether `image` is the one that begins with `expected`, and whole. Reads all of it: 19 cycles a byte.
ConstantsStatus check_constants(const void* image, const ConstantsHead& expected);

}  // namespace tfodl

// What `symbol` stands for: `address` on a device; on a computer, memory that a program fills, whole pages.
#if defined(__unix__) || defined(__APPLE__)
#define TFODL_CONSTANTS_AT(symbol, bytes, address) \
  extern uint8_t symbol[] __asm__(#symbol);        \
  alignas(4096) uint8_t symbol[((bytes) + 4095) / 4096 * 4096] = {};
#else
#define TFODL_CONSTANTS_AT(symbol, bytes, address) __asm__(".global " #symbol "\n.set " #symbol ", " #address "\n");
#endif

#endif  // TFODL_CONSTANTS_H
