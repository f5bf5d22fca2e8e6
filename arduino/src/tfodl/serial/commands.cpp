#include "tfodl/serial/commands.h"

#include <string.h>

namespace tfodl {
namespace serial {

Status info(SerialProtocol& p) {
  const Learner& net = p.learner();
  uint32_t counts[4];
  net.count(counts);
  p.begin(1 + 8 + 8 * 4 + 4 * 4 + 3 * 4 + 2);
  p.put(&kProtocolVersion, 1);
  p.put(net.engine_id, 8);
  p.put_u32(net.input_bytes);
  p.put_f32(net.input_scale);
  p.put_u32(static_cast<uint32_t>(net.input_zero));
  p.put_u32(net.outputs);
  p.put_f32(net.output_scale);
  p.put_u32(static_cast<uint32_t>(net.output_zero));
  p.put_u32(net.target_bytes);
  p.put_u32(net.parameter_count);
  for (uint32_t count : counts) p.put_u32(count);
  p.put_u32(p.steps());
  p.put_u32(weights_crc(net));
  p.put_u32(net.about_bytes);
  const uint8_t flags[2] = {p.writing(), p.last_sequence()};
  p.put(flags, sizeof flags);
  return Status::kOk;
}

Status about(SerialProtocol& p) {
  const uint32_t size = p.learner().about_bytes, at = p.staged_u32(0), n = p.staged_u16(4);
  if (at > size || n > size - at) return Status::kOutOfRange;
  p.begin(n);
  p.put(p.learner().about + at, n);
  return Status::kOk;
}

Status predict(SerialProtocol& p) {
  const Learner& net = p.learner();
  const int32_t label = net.predict();
  p.begin(4 + net.outputs);
  p.put_u32(static_cast<uint32_t>(label));
  p.put(net.output(), net.outputs);
  return Status::kOk;
}

Status train(SerialProtocol& p) {
  const Learner& net = p.learner();
  float loss = 0.0f;
  if (!net.train(p.staged(), &loss)) return Status::kOutOfRange;
  p.step_done(loss);
  p.add_f32(loss);
  p.add_u32(p.steps());
  p.add_u32(static_cast<uint32_t>(net.guess()));
  p.add_u32(net.epoch_is_over != nullptr && net.epoch_is_over());
  return Status::kOk;
}

Status set_learning_rate(SerialProtocol& p) {
  float rate;
  memcpy(&rate, p.staged(), sizeof rate);
  return p.learner().set_learning_rate(rate) ? Status::kOk : Status::kOutOfRange;
}

Status reset(SerialProtocol& p) {
  p.learner().reset();
  p.restarted();
  return Status::kOk;
}

Status evaluate(SerialProtocol& p, uint16_t* counts, int32_t n) {
  const int32_t label = p.staged_i32(0);
  if (label < 0 || label >= n) return Status::kOutOfRange;
  const int32_t found = p.learner().predict();
  uint16_t& count = counts[label * n + found];
  if (count < 0xFFFF) ++count;
  p.add_u32(static_cast<uint32_t>(found));
  return Status::kOk;
}

Status confusion(SerialProtocol& p, uint16_t* counts, int32_t n) {
  const uint32_t bytes = sizeof *counts * static_cast<uint32_t>(n * n);
  if (p.staged()[0] != 0) memset(counts, 0, bytes);
  p.begin(bytes);
  p.put(counts, bytes);
  return Status::kOk;
}

}  // namespace serial
}  // namespace tfodl
