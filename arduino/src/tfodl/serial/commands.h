// The commands that every sketch serves; those of an engine's memory, store, ... are in its TFODL.h. docs/protocol.md has
// payloads and answers.
#ifndef TFODL_SERIAL_COMMANDS_H
#define TFODL_SERIAL_COMMANDS_H
#include "tfodl/serial_protocol.h"

namespace tfodl {
namespace serial {

Status info(SerialProtocol& p);
Status about(SerialProtocol& p);
Status predict(SerialProtocol& p);
Status train(SerialProtocol& p);
Status set_learning_rate(SerialProtocol& p);
Status reset(SerialProtocol& p);

Status parameter(SerialProtocol& p);
Status read_weights(SerialProtocol& p);
Status begin_weights(SerialProtocol& p);  // as flashed, the optimizer too; then they are written, and checked as a whole
Status write_weights(SerialProtocol& p);
Status end_weights(SerialProtocol& p);
uint32_t weights_crc(const Learner& learner);

// Whether n bytes are values that a training step may leave: weights -127..127, biases, n / 4 of them, within kMostBias.
bool in_range(const uint8_t* data, uint32_t n, bool is_bias);
constexpr int32_t kMostBias = 1 << 30;  // what a step keeps a bias within, and the kernels promise for

// Counts [n][n] of true classes and predicted ones, up to 65,535.
Status evaluate(SerialProtocol& p, uint16_t* counts, int32_t n);
Status confusion(SerialProtocol& p, uint16_t* counts, int32_t n);

// Bytes of an area of flash as it is.
template <typename Area>
Status read_flash(SerialProtocol& p, const Area& area) {
  const uint32_t size = uint32_t{area.pages} * area.page_bytes, at = p.staged_u32(0), n = p.staged_u16(4);
  if (at > size || n > size - at) return Status::kOutOfRange;
  p.begin(n);
  for (uint32_t done = 0; done < n;) {
    uint8_t piece[64];
    const uint32_t now = n - done < sizeof piece ? n - done : uint32_t{sizeof piece};
    area.read(at + done, piece, now);
    p.put(piece, now);
    done += now;
  }
  return Status::kOk;
}

// kOk, or what the flash complains of.
template <typename Complaint>
Status of_flash(Complaint complaint) {
  const uint8_t number = static_cast<uint8_t>(complaint);
  return number == 0 ? Status::kOk : static_cast<Status>(static_cast<uint8_t>(Status::kFlash) + number);
}

// Rows of `Learner::commands`.
constexpr ServedCommand info_row() { return {Command::kInfo, kBare, 0, 0, info}; }
constexpr ServedCommand about_row() { return {Command::kAbout, kBare, 6, 6, about}; }
constexpr ServedCommand predict_row() { return {Command::kPredict, kPicture | kWhole, 0, 0, predict}; }
constexpr ServedCommand train_row(uint16_t target_bytes) {
  return {Command::kTrain, kPicture | kOnce | kLong | kWhole, target_bytes, target_bytes, train};
}
constexpr ServedCommand learning_rate_row() { return {Command::kLearningRate, 0, 4, 4, set_learning_rate}; }
constexpr ServedCommand reset_row() { return {Command::kReset, kOnce, 0, 0, reset}; }
constexpr ServedCommand parameter_row() { return {Command::kParameter, kBare, 2, 2, parameter}; }
constexpr ServedCommand read_weights_row() { return {Command::kReadWeights, 0, 8, 8, read_weights}; }
constexpr ServedCommand begin_weights_row() { return {Command::kBeginWeights, kOnce, 0, 0, begin_weights}; }
constexpr ServedCommand write_weights_row() { return {Command::kWriteWeights, 0, 7, kStagingBytes, write_weights}; }
constexpr ServedCommand end_weights_row() { return {Command::kEndWeights, 0, 4, 4, end_weights}; }

}  // namespace serial
}  // namespace tfodl

#endif  // TFODL_SERIAL_COMMANDS_H
