#include "tfodl/serial/constants.h"

#include <string.h>

#include "tfodl/detail/crc32.h"
#include "tfodl/serial/commands.h"
#include "tfodl/store/store.h"

namespace tfodl {
namespace serial {
namespace {

constexpr uint32_t kHeadBytes = sizeof(ConstantsHead);

// Bytes of the image in a page; 0 behind its end.
uint32_t bytes_in(const ConstantsPlace& c, uint32_t page) {
  const uint32_t at = page * c.area.page_bytes;
  if (at >= c.head.bytes) return 0;
  return c.head.bytes - at < c.area.page_bytes ? c.head.bytes - at : c.area.page_bytes;
}

// Whether nothing else is lost there: an image begins, or all is erased.
bool is_free(const ConstantsPlace& c) {
  uint32_t magic;
  memcpy(&magic, c.place, sizeof magic);
  if (magic == kConstantsMagic) return true;
  for (uint32_t i = 0; i < c.head.bytes; ++i) {
    if (c.place[i] != 0xFF) return false;
  }
  return true;
}

}  // namespace

Status constants(SerialProtocol& p, const ConstantsPlace& c) {
  const uint8_t status = static_cast<uint8_t>(c.status());
  p.begin(1 + 4 + kHeadBytes);
  p.put(&status, 1);
  p.put_u32(c.area.page_bytes);
  p.put(&c.head, kHeadBytes);
  return Status::kOk;
}

Status constants_page(SerialProtocol& p, const ConstantsPlace& c) {
  const uint32_t page = p.staged_u16(0), n = bytes_in(c, page);
  if (n == 0) return Status::kOutOfRange;
  p.begin(4);
  p.put_u32(crc32(0, c.place + page * c.area.page_bytes, n));
  return Status::kOk;
}

Status begin_constants(SerialProtocol& p, ConstantsPlace& c) {
  c.writing = false;
  if (memcmp(p.staged(), &c.head, kHeadBytes) != 0) return Status::kForeign;
  if (p.staged()[kHeadBytes] == 0 && !is_free(c)) return Status::kOccupied;
  c.writing = true;
  return Status::kOk;
}

Status write_constants(SerialProtocol& p, ConstantsPlace& c) {
  const uint32_t page = p.staged_u16(0), at = p.staged_u16(2), n = p.staged_bytes() - 4;
  const uint32_t size = bytes_in(c, page), unit = c.area.write_bytes;
  if (!c.writing) return Status::kForeign;
  if (at >= size || n > size - at || at % unit != 0 || n % unit != 0) return Status::kOutOfRange;
  if (!c.area.may_write()) return of_flash(StoreStatus::kRefused);
  c.changed();
  if (at == 0) c.area.erase(page);
  c.area.write(page * c.area.page_bytes + at, p.staged() + 4, n);
  c.area.pause();
  return Status::kOk;
}

Status end_constants(ConstantsPlace& c) {
  c.writing = false;
  c.changed();
  return c.status() == ConstantsStatus::kOk ? Status::kOk : Status::kNoConstants;
}

}  // namespace serial
}  // namespace tfodl
