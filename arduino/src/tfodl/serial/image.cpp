#include "tfodl/serial/image.h"

#include <string.h>

#include "tfodl/serial/commands.h"

namespace tfodl {
namespace serial {
namespace {

// The tensor that the first two staged bytes name, or null.
const ImageTensor* named(const SerialProtocol& p, const ImageWriter& image) {
  const int32_t index = static_cast<int32_t>(p.staged_u16(0));
  return index < image.count ? image.tensors + index : nullptr;
}

// Whole words, but at the tensor's end, all of them within it.
bool fits(const ImageTensor& tensor, uint32_t offset, uint32_t n) {
  const uint32_t size = tensor.nbytes;
  return offset <= size && n <= size - offset && offset % 4 == 0 && (n % 4 == 0 || offset + n == size);
}

// What is there already was written with other values: it begins anew, or not at all.
Status of_image(StoreStatus status) {
  return status == StoreStatus::kBadRecord ? Status::kUnfinished : of_flash(status);
}

}  // namespace

Status parameter(SerialProtocol& p, const ImageWriter& image) {
  const ImageTensor* found = named(p, image);
  if (found == nullptr) return Status::kOutOfRange;
  const uint32_t n = static_cast<uint32_t>(strlen(found->name));
  p.begin(4 + n);
  p.put_u32(found->nbytes);
  p.put(found->name, n);
  return Status::kOk;
}

Status begin_weights(SerialProtocol& p, const ImageWriter& image) {
  const StoreStatus status = image.begin();
  if (status != StoreStatus::kOk) return of_image(status);
  p.restarted();
  p.set_writing(true);
  return Status::kOk;
}

Status write_weights(SerialProtocol& p, const ImageWriter& image) {
  const ImageTensor* found = named(p, image);
  const uint32_t offset = p.staged_u32(2), n = p.staged_bytes() - 6;
  if (!p.writing()) return Status::kUnfinished;
  if (found == nullptr || !fits(*found, offset, n)) return Status::kOutOfRange;
  const uint8_t* const data = p.staged() + 6;
  if (!in_range(data, n, found->is_bias)) return Status::kOutOfRange;
  return of_image(image.put(static_cast<int32_t>(found - image.tensors), offset, data, n));
}

Status end_weights(SerialProtocol& p, const ImageWriter& image) {
  if (!p.writing()) return Status::kUnfinished;
  const StoreStatus status = image.end(p.staged_u32(0));
  if (status == StoreStatus::kOk) p.set_writing(false);
  return of_image(status);
}

}  // namespace serial
}  // namespace tfodl
