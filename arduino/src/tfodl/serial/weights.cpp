#include <string.h>

#include "tfodl/detail/crc32.h"
#include "tfodl/serial/commands.h"

namespace tfodl {
namespace serial {
namespace {

// The parameter that the first two staged bytes name, or null.
const Parameter* named(const SerialProtocol& p) {
  const uint32_t index = p.staged_u16(0);
  return index < p.learner().parameter_count ? p.learner().parameters() + index : nullptr;
}

}  // namespace

bool in_range(const uint8_t* data, uint32_t n, bool is_bias) {
  for (uint32_t i = 0; i < n; i += is_bias ? 4 : 1) {
    int32_t bias = 0;
    if (is_bias) memcpy(&bias, data + i, sizeof bias);
    const bool good = is_bias ? -kMostBias <= bias && bias <= kMostBias : data[i] != 0x80;
    if (!good) return false;
  }
  return true;
}

uint32_t weights_crc(const Learner& learner) {
  uint32_t crc = 0;
  for (uint32_t i = 0; i < learner.parameter_count; ++i) {
    const Parameter& parameter = learner.parameters()[i];
    crc = crc32(crc, parameter.data, parameter.nbytes);
  }
  return crc;
}

Status parameter(SerialProtocol& p) {
  const Parameter* found = named(p);
  if (found == nullptr) return Status::kOutOfRange;
  const uint32_t n = static_cast<uint32_t>(strlen(found->name));
  p.begin(4 + n);
  p.put_u32(found->nbytes);
  p.put(found->name, n);
  return Status::kOk;
}

Status read_weights(SerialProtocol& p) {
  const Parameter* found = named(p);
  const uint32_t offset = p.staged_u32(2), n = p.staged_u16(6);
  if (found == nullptr || offset > found->nbytes || n > found->nbytes - offset) return Status::kOutOfRange;
  p.begin(n);
  p.put(static_cast<const uint8_t*>(found->data) + offset, n);
  return Status::kOk;
}

Status begin_weights(SerialProtocol& p) {
  reset(p);
  p.set_writing(true);
  return Status::kOk;
}

Status write_weights(SerialProtocol& p) {
  const Parameter* found = named(p);
  const uint32_t offset = p.staged_u32(2), n = p.staged_bytes() - 6;
  if (!p.writing()) return Status::kUnfinished;
  if (found == nullptr || offset > found->nbytes || n > found->nbytes - offset) return Status::kOutOfRange;
  const bool whole = !found->is_bias || ((offset | n) & 3) == 0;
  if (!whole || !in_range(p.staged() + 6, n, found->is_bias)) return Status::kOutOfRange;
  memcpy(static_cast<uint8_t*>(found->data) + offset, p.staged() + 6, n);
  return Status::kOk;
}

Status end_weights(SerialProtocol& p) {
  if (weights_crc(p.learner()) != p.staged_u32(0)) return Status::kUnfinished;
  p.set_writing(false);
  if (p.learner().written != nullptr) p.learner().written();
  return Status::kOk;
}

}  // namespace serial
}  // namespace tfodl
