#include "tfodl/serial_protocol.h"

#include <string.h>

namespace tfodl {
namespace {

constexpr uint8_t kMagic0 = 0xA5, kMagic1 = 0x7E;
constexpr uint32_t kSigned = 8;  // header bytes under a checksum

uint32_t load_u32(const uint8_t* p) {
  return p[0] | uint32_t{p[1]} << 8 | uint32_t{p[2]} << 16 | uint32_t{p[3]} << 24;
}

uint32_t load_u16(const uint8_t* p) { return p[0] | uint32_t{p[1]} << 8; }

void store_u32(uint32_t value, uint8_t* p) {
  for (int i = 0; i < 4; ++i) p[i] = static_cast<uint8_t>(value >> (8 * i));
}

}  // namespace

SerialProtocol::SerialProtocol(ByteLink& link, const Learner& learner, uint8_t* staging,
                               uint32_t staging_bytes)
    : link_(link), learner_(learner), staging_(staging), staging_bytes_(staging_bytes) {}

uint8_t SerialProtocol::poll(uint32_t now_ms) {
  done_ = 0;
  for (int32_t byte = link_.read(); byte >= 0; byte = link_.read()) {
    last_byte_ms_ = now_ms;
    take(static_cast<uint8_t>(byte));
    if (done_ != 0) return done_;
  }
  const bool waiting = state_ != State::kHeader || filled_ != 0;
  if (waiting && now_ms - last_byte_ms_ > kFrameTimeoutMs) {
    if (state_ != State::kHeader) answer(Status::kTimeout);
    restart();
  }
  return 0;
}

void SerialProtocol::restart() {
  state_ = State::kHeader;
  filled_ = 0;
}

void SerialProtocol::take(uint8_t byte) {
  switch (state_) {
    case State::kHeader: take_header(byte); break;
    case State::kPayload: take_payload(byte); break;
    case State::kCheck:
      check_ |= uint32_t{byte} << (8 * filled_);
      if (++filled_ == 4) finish();
      break;
  }
}

// Fills the header; drops bytes from its front until what is left may begin a frame.
void SerialProtocol::take_header(uint8_t byte) {
  header_[filled_++] = byte;
  while (filled_ > 0) {
    const bool magic = header_[0] == kMagic0 && (filled_ < 2 || header_[1] == kMagic1);
    const bool whole = filled_ == sizeof header_;
    if (magic && !whole) return;
    if (magic && load_u16(header_ + kSigned) == (crc32(0, header_, kSigned) & 0xFFFF)) {
      open_payload();
      return;
    }
    --filled_;
    memmove(header_, header_ + 1, filled_);
  }
}

// The payload of a frame that cannot be right is read to its end and dropped, then answered.
void SerialProtocol::open_payload() {
  length_ = load_u32(header_ + 4);
  received_ = 0;
  staged_ = 0;
  status_ = expected_length(length_, &staged_);
  crc_ = crc32(0, header_, kSigned);
  check_ = 0;
  filled_ = 0;
  state_ = length_ == 0 ? State::kCheck : State::kPayload;
}

Status SerialProtocol::expected_length(uint32_t length, uint32_t* staged) const {
  uint32_t least = 0, most = 0;
  switch (static_cast<Command>(header_[2])) {
    case Command::kInfo:
    case Command::kReset: break;
    case Command::kPredict: least = most = learner_.input_bytes; break;
    case Command::kTrain:
      least = most = learner_.target_bytes + learner_.input_bytes;
      *staged = learner_.target_bytes;
      return length == most ? Status::kOk : Status::kWrongLength;
    case Command::kReadWeights: least = most = *staged = 8; break;
    case Command::kWriteWeights:
      least = 7;
      most = staging_bytes_;
      *staged = length;
      break;
    case Command::kLearningRate: least = most = *staged = 4; break;
    case Command::kParameter: least = most = *staged = 2; break;
    default: return Status::kUnknownCommand;
  }
  return least <= length && length <= most ? Status::kOk : Status::kWrongLength;
}

void SerialProtocol::take_payload(uint8_t byte) {
  crc_ = crc32(crc_, &byte, 1);
  if (status_ == Status::kOk) {
    if (received_ < staged_) {
      staging_[received_] = byte;
    } else {
      learner_.input()[received_ - staged_] = static_cast<int8_t>(byte);
    }
  }
  if (++received_ == length_) state_ = State::kCheck;
}

void SerialProtocol::finish() {
  if (check_ != crc_) status_ = Status::kDamaged;
  if (status_ == Status::kOk) {
    done_ = header_[2];
    execute();
  } else {
    answer(status_);
  }
  restart();
}

void SerialProtocol::execute() {
  if (static_cast<Command>(header_[2]) != Command::kTrain) again_ = false;
  switch (static_cast<Command>(header_[2])) {
    case Command::kInfo: answer_info(); break;
    case Command::kPredict: answer_predict(); break;
    case Command::kTrain: answer_train(); break;
    case Command::kReadWeights: answer_read(); break;
    case Command::kWriteWeights: answer_write(); break;
    case Command::kReset:
      learner_.reset();
      steps_ = 0;
      answer(Status::kOk);
      break;
    case Command::kLearningRate: answer_learning_rate(); break;
    case Command::kParameter: answer_parameter(); break;
  }
}

void SerialProtocol::answer_info() {
  begin_answer(Status::kOk, 1 + 8 + 9 * 4);
  put(&kProtocolVersion, 1);
  put(learner_.model_id, 8);
  put_u32(learner_.input_bytes);
  put_f32(learner_.input_scale);
  put_u32(static_cast<uint32_t>(learner_.input_zero));
  put_u32(learner_.outputs);
  put_f32(learner_.output_scale);
  put_u32(static_cast<uint32_t>(learner_.output_zero));
  put_u32(learner_.target_bytes);
  put_u32(learner_.parameter_count);
  put_u32(steps_);
  end_answer();
}

void SerialProtocol::answer_predict() {
  const int32_t label = learner_.predict();
  begin_answer(Status::kOk, 4 + learner_.outputs);
  put_u32(static_cast<uint32_t>(label));
  put(learner_.output(), learner_.outputs);
  end_answer();
}

void SerialProtocol::answer_train() {
  if (!again_ || trained_ != crc_) {
    float loss = 0.0f;
    if (!learner_.train(staging_, &loss)) {
      done_ = 0;
      answer(Status::kOutOfRange);
      return;
    }
    loss_ = loss;
    ++steps_;
    trained_ = crc_;
    again_ = true;
  }
  begin_answer(Status::kOk, 8);
  put_f32(loss_);
  put_u32(steps_);
  end_answer();
}

// The parameter that the first two staged bytes name, or null.
const Parameter* SerialProtocol::parameter() const {
  const uint32_t index = load_u16(staging_);
  return index < learner_.parameter_count ? learner_.parameters() + index : nullptr;
}

void SerialProtocol::answer_read() {
  const Parameter* p = parameter();
  const uint32_t offset = load_u32(staging_ + 2), bytes = load_u16(staging_ + 6);
  if (p == nullptr || offset > p->nbytes || bytes > p->nbytes - offset) {
    answer(Status::kOutOfRange);
    return;
  }
  begin_answer(Status::kOk, bytes);
  put(static_cast<const uint8_t*>(p->data) + offset, bytes);
  end_answer();
}

void SerialProtocol::answer_write() {
  const Parameter* p = parameter();
  const uint32_t offset = load_u32(staging_ + 2), bytes = length_ - 6;
  if (p == nullptr || offset > p->nbytes || bytes > p->nbytes - offset) {
    answer(Status::kOutOfRange);
    return;
  }
  memcpy(static_cast<uint8_t*>(p->data) + offset, staging_ + 6, bytes);
  answer(Status::kOk);
}

void SerialProtocol::answer_learning_rate() {
  float rate;
  memcpy(&rate, staging_, sizeof rate);
  answer(learner_.set_learning_rate(rate) ? Status::kOk : Status::kOutOfRange);
}

void SerialProtocol::answer_parameter() {
  const Parameter* p = parameter();
  if (p == nullptr) {
    answer(Status::kOutOfRange);
    return;
  }
  const uint32_t n = static_cast<uint32_t>(strlen(p->name));
  begin_answer(Status::kOk, 4 + n);
  put_u32(p->nbytes);
  put(p->name, n);
  end_answer();
}

void SerialProtocol::begin_answer(Status status, uint32_t bytes) {
  uint8_t head[10] = {kMagic0, kMagic1, static_cast<uint8_t>(header_[2] | 0x80), header_[3]};
  store_u32(bytes + 1, head + 4);
  answer_crc_ = crc32(0, head, kSigned);
  head[8] = static_cast<uint8_t>(answer_crc_);
  head[9] = static_cast<uint8_t>(answer_crc_ >> 8);
  link_.write(head, sizeof head);
  const uint8_t first = static_cast<uint8_t>(status);
  put(&first, 1);
}

void SerialProtocol::put(const void* data, uint32_t n) {
  answer_crc_ = crc32(answer_crc_, data, n);
  link_.write(static_cast<const uint8_t*>(data), n);
}

void SerialProtocol::put_u32(uint32_t value) {
  uint8_t bytes[4];
  store_u32(value, bytes);
  put(bytes, sizeof bytes);
}

void SerialProtocol::put_f32(float value) {
  uint32_t bits;
  memcpy(&bits, &value, sizeof bits);
  put_u32(bits);
}

void SerialProtocol::end_answer() {
  uint8_t bytes[4];
  store_u32(answer_crc_, bytes);
  link_.write(bytes, sizeof bytes);
}

void SerialProtocol::answer(Status status) {
  begin_answer(status, 0);
  end_answer();
}

namespace {

// `value` thousandths as "1.234"; returns past the end.
char* put_milli(uint32_t value, char* out) {
  char digits[10];
  int n = 0;
  for (uint32_t whole = value / 1000; n == 0 || whole != 0; whole /= 10) {
    digits[n++] = static_cast<char>('0' + whole % 10);
  }
  while (n > 0) *out++ = digits[--n];
  *out++ = '.';
  for (uint32_t unit = 100; unit != 0; unit /= 10) *out++ = static_cast<char>('0' + value / unit % 10);
  return out;
}

uint32_t milli(float value) {
  if (!(value > 0.0f)) return 0;  // NaN too
  return static_cast<uint32_t>((value < 1e6f ? value : 1e6f) * 1000.0f + 0.5f);
}

}  // namespace

int32_t format_progress(float loss, const char* name, float score, char* out) {
  char* p = out;
  memcpy(p, "loss:", 5);
  p = put_milli(milli(loss), p + 5);
  *p++ = '\t';
  for (int i = 0; i < 8 && name[i] != '\0'; ++i) *p++ = name[i];
  *p++ = ':';
  p = put_milli(milli(score), p);
  *p++ = '\n';
  *p = '\0';
  return static_cast<int32_t>(p - out);
}

}  // namespace tfodl
