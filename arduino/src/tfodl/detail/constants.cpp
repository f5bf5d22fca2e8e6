#include "tfodl/constants.h"

#include <string.h>

#include "tfodl/detail/crc32.h"

namespace tfodl {

ConstantsStatus check_constants(const void* image, const ConstantsHead& expected) {
  constexpr uint32_t kHeadBytes = sizeof(ConstantsHead);
  const uint8_t* const bytes = static_cast<const uint8_t*>(image);
  ConstantsHead head;
  memcpy(&head, bytes, kHeadBytes);
  if (head.magic != kConstantsMagic) return ConstantsStatus::kMissing;
  if (head.head_crc != crc32(0, bytes, kHeadBytes - 4)) return ConstantsStatus::kDamaged;
  if (memcmp(&head, &expected, kHeadBytes) != 0) return ConstantsStatus::kForeign;
  const uint32_t crc = crc32(0, bytes + kHeadBytes, expected.bytes - kHeadBytes);
  return crc == expected.constants_crc ? ConstantsStatus::kOk : ConstantsStatus::kDamaged;
}

}  // namespace tfodl
