// Weights of an engine with a pool, written into its flash; the other commands of weights.cpp serve it, too. docs/protocol.md.
#ifndef TFODL_SERIAL_IMAGE_H
#define TFODL_SERIAL_IMAGE_H
#include "tfodl/pool/images.h"
#include "tfodl/serial_protocol.h"

namespace tfodl {
namespace serial {

// What a generated engine has for it.
struct ImageWriter {
  const ImageTensor* tensors;
  int32_t count;
  StoreStatus (*begin)();
  StoreStatus (*put)(int32_t tensor, uint32_t offset, const void* data, uint32_t n);
  StoreStatus (*end)(uint32_t crc);
};

Status parameter(SerialProtocol& p, const ImageWriter& image);
Status begin_weights(SerialProtocol& p, const ImageWriter& image);
Status write_weights(SerialProtocol& p, const ImageWriter& image);
Status end_weights(SerialProtocol& p, const ImageWriter& image);

}  // namespace serial
}  // namespace tfodl

#endif  // TFODL_SERIAL_IMAGE_H
