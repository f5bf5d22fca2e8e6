// The commands by which a host writes the image of an engine's constants (tfodl/constants.h). docs/protocol.md has payloads
// and answers. The order of the pages is the host's; what counts is the checksum of the whole.
#ifndef TFODL_SERIAL_CONSTANTS_H
#define TFODL_SERIAL_CONSTANTS_H
#include "tfodl/constants.h"
#include "tfodl/serial_protocol.h"
#include "tfodl/store/flash_area.h"

namespace tfodl {
namespace serial {

// The image's place, and what the engine says of it. area: the pages from `place` on. writing: a host has shown that it
// brings this engine's image.
struct ConstantsPlace {
  const ConstantsHead& head;
  const uint8_t* place;
  FlashArea& area;
  ConstantsStatus (*status)();
  void (*changed)();
  bool writing;
};

Status constants(SerialProtocol& p, const ConstantsPlace& c);
Status constants_page(SerialProtocol& p, const ConstantsPlace& c);
Status begin_constants(SerialProtocol& p, ConstantsPlace& c);
Status write_constants(SerialProtocol& p, ConstantsPlace& c);
Status end_constants(ConstantsPlace& c);  // kOk: they are there, and the engine may start

}  // namespace serial
}  // namespace tfodl

#endif  // TFODL_SERIAL_CONSTANTS_H
