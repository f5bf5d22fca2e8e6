#include "tfodl/constants.h"

#include <string.h>

#include "tfodl/detail/crc32.h"

namespace tfodl {

ConstantsStatus check_constants(const void* image, const ConstantsHead& expected) {
  const uint8_t* const bytes = static_cast<const uint8_t*>(image);
  ConstantsHead head;
  memcpy(&head, bytes, sizeof head);
  if (head.magic != kConstantsMagic) return ConstantsStatus::kMissing;
  if (head.head_crc != crc32(0, bytes, sizeof head - 4)) return ConstantsStatus::kDamaged;
  if (memcmp(&head, &expected, sizeof head) != 0) return ConstantsStatus::kForeign;
  const uint32_t crc = crc32(0, bytes + sizeof head, expected.bytes - sizeof head);
  return crc == expected.constants_crc ? ConstantsStatus::kOk : ConstantsStatus::kDamaged;
}

}  // namespace tfodl
