#include "tfodl/serial_protocol.h"

#include <string.h>

#include "tfodl/detail/crc32.h"

namespace tfodl {
namespace {

constexpr uint8_t kMagic0 = 0xA5, kMagic1 = 0x7E;
constexpr uint32_t kSigned = 8;  // header bytes under a checksum

uint32_t load_u32(const uint8_t* p) {
  return p[0] | uint32_t{p[1]} << 8 | uint32_t{p[2]} << 16 | uint32_t{p[3]} << 24;
}

void store_u32(uint32_t value, uint8_t* p) {
  for (int i = 0; i < 4; ++i) p[i] = static_cast<uint8_t>(value >> (8 * i));
}

uint32_t least(uint32_t a, uint32_t b) { return a < b ? a : b; }

}  // namespace

SerialProtocol::SerialProtocol(ByteLink& link, const Learner& learner, uint8_t* staging,
                               uint32_t staging_bytes)
    : link_(link), learner_(learner), staging_(staging), staging_bytes_(staging_bytes) {}

uint8_t SerialProtocol::poll(uint32_t now_ms) {
  done_ = 0;
  answered_ = false;
  last_sign_ms_ = now_ms;
  for (uint32_t left = kPollBytes; left > 0 && !answered_;) {
    uint32_t room = 0;
    uint8_t* const to = place(&room);
    const uint32_t n = link_.read(to, least(room, left));
    if (n == 0) break;
    last_byte_ms_ = now_ms;
    left -= n;
    take(to, n);
  }
  const bool waiting = state_ != State::kHeader || filled_ != 0;
  if (waiting && now_ms - last_byte_ms_ > kFrameTimeoutMs) {
    if (state_ != State::kHeader) answer(Status::kTimeout);
    restart();
  }
  return done_;
}

void SerialProtocol::restart() {
  state_ = State::kHeader;
  filled_ = 0;
}

// Where the next bytes belong, and how many of them.
uint8_t* SerialProtocol::place(uint32_t* room) {
  switch (state_) {
    case State::kHeader: *room = sizeof header_ - filled_; return header_ + filled_;
    case State::kCheck: *room = sizeof check_ - filled_; return check_ + filled_;
    case State::kPayload: break;
  }
  const bool staged = received_ < staged_;
  *room = (staged ? staged_ : length_) - received_;
  return staged ? staging_ + received_ : reinterpret_cast<uint8_t*>(learner_.input()) + (received_ - staged_);
}

// n bytes have come to their place.
void SerialProtocol::take(const uint8_t* data, uint32_t n) {
  switch (state_) {
    case State::kHeader:
      filled_ = static_cast<uint8_t>(filled_ + n);
      take_header();
      break;
    case State::kPayload:
      crc_ = crc32(crc_, data, n);
      received_ += n;
      if (received_ == length_) state_ = State::kCheck;
      break;
    case State::kCheck:
      filled_ = static_cast<uint8_t>(filled_ + n);
      if (filled_ == sizeof check_) finish();
      break;
  }
}

// Drops bytes from the header's front until what is left may begin a frame.
void SerialProtocol::take_header() {
  while (filled_ > 0) {
    const bool magic = header_[0] == kMagic0 && (filled_ < 2 || header_[1] == kMagic1);
    if (magic && filled_ < sizeof header_) return;
    const uint32_t crc = magic ? crc32(0, header_, kSigned) : 0;
    if (magic && header_[8] == (crc & 0xFF) && header_[9] == (crc >> 8 & 0xFF)) {
      crc_ = crc;
      open_payload();
      return;
    }
    const void* next = memchr(header_ + 1, kMagic0, filled_ - 1u);
    const uint8_t* from = next == nullptr ? header_ + filled_ : static_cast<const uint8_t*>(next);
    filled_ = static_cast<uint8_t>(header_ + filled_ - from);
    memmove(header_, from, filled_);
  }
}

// A frame that cannot be right is answered at once; what follows is looked through for the next one.
void SerialProtocol::open_payload() {
  length_ = load_u32(header_ + 4);
  received_ = 0;
  const Status status = find_command();
  restart();
  if (status != Status::kOk) {
    answer(status);
  } else {
    state_ = length_ == 0 ? State::kCheck : State::kPayload;
  }
}

Status SerialProtocol::find_command() {
  for (uint32_t i = 0; i < learner_.command_count; ++i) {
    command_ = learner_.commands + i;
    if (static_cast<uint8_t>(command_->command) != header_[2]) continue;
    const uint32_t picture = command_->traits & kPicture ? learner_.input_bytes : 0;
    staged_ = length_ - picture;
    const bool right = length_ >= picture && command_->least <= staged_ && staged_ <= command_->most &&
                       staged_ <= staging_bytes_;
    return right ? Status::kOk : Status::kWrongLength;
  }
  const bool known = header_[2] > 0 && header_[2] <= static_cast<uint8_t>(Command::kLast);
  return known ? Status::kNoPart : Status::kUnknownCommand;
}

void SerialProtocol::finish() {
  restart();
  if (load_u32(check_) != crc_) {
    answer(Status::kDamaged);
  } else if ((command_->traits & kOnce) && kept_ && kept_crc_ == crc_) {
    answer_kept();
  } else if ((command_->traits & kWhole) && writing_) {
    answer(Status::kUnfinished);
  } else if (!(command_->traits & kBare) && learner_.constants_ok != nullptr && !learner_.constants_ok()) {
    answer(Status::kNoConstants);
  } else {
    execute();
  }
}

void SerialProtocol::execute() {
  const bool once = command_->traits & kOnce;
  if (command_->traits & kLong) answer(Status::kWorking);
  const uint8_t kept_bytes = kept_bytes_;
  if (once) kept_bytes_ = 0;
  running_ = command_->traits & kLong;
  const Status status = command_->run(*this);
  running_ = false;
  if (status != Status::kOk) {
    kept_bytes_ = kept_bytes;
    answer(status);
    return;
  }
  done_ = header_[2];
  if (once) {
    kept_ = true;
    kept_crc_ = crc_;
    kept_sequence_ = header_[3];
    answer_kept();
  } else if (open_) {
    end_answer();
  } else {
    answer(Status::kOk);
  }
}

void SerialProtocol::answer_kept() {
  begin_answer(Status::kOk, kept_bytes_);
  put(kept_answer_, kept_bytes_);
  end_answer();
}

void SerialProtocol::still_working(uint32_t now_ms) {
  if (!running_ || now_ms - last_sign_ms_ < kWorkingMs) return;
  last_sign_ms_ = now_ms;
  answer(Status::kWorking);
}

void SerialProtocol::step_done(float loss) {
  loss_ = loss;
  ++steps_;
}

void SerialProtocol::restarted() {
  writing_ = false;
  steps_ = 0;
}

void SerialProtocol::add_u32(uint32_t value) {
  if (kept_bytes_ + 4u > sizeof kept_answer_) return;
  store_u32(value, kept_answer_ + kept_bytes_);
  kept_bytes_ = static_cast<uint8_t>(kept_bytes_ + 4);
}

void SerialProtocol::add_f32(float value) {
  uint32_t bits;
  memcpy(&bits, &value, sizeof bits);
  add_u32(bits);
}

void SerialProtocol::begin_answer(Status status, uint32_t bytes) {
  uint8_t head[10] = {kMagic0, kMagic1, static_cast<uint8_t>(header_[2] | 0x80), header_[3]};
  store_u32(bytes + 1, head + 4);
  answer_crc_ = crc32(0, head, kSigned);
  head[8] = static_cast<uint8_t>(answer_crc_);
  head[9] = static_cast<uint8_t>(answer_crc_ >> 8);
  mute_ = false;
  open_ = true;
  out_filled_ = 0;
  send(head, sizeof head);
  const uint8_t first = static_cast<uint8_t>(status);
  put(&first, 1);
}

void SerialProtocol::put(const void* data, uint32_t n) {
  answer_crc_ = crc32(answer_crc_, data, n);
  send(static_cast<const uint8_t*>(data), n);
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
  send(bytes, sizeof bytes);
  flush();
  open_ = false;
}

void SerialProtocol::send(const uint8_t* data, uint32_t n) {
  while (n > 0) {
    const uint32_t now = least(n, sizeof out_ - out_filled_);
    memcpy(out_ + out_filled_, data, now);
    out_filled_ = static_cast<uint8_t>(out_filled_ + now);
    data += now;
    n -= now;
    if (out_filled_ == sizeof out_) flush();
  }
}

void SerialProtocol::flush() {
  if (!mute_ && out_filled_ > 0) mute_ = !link_.write(out_, out_filled_);
  out_filled_ = 0;
}

void SerialProtocol::answer(Status status) {
  begin_answer(status, 0);
  end_answer();
  answered_ = true;
}

}  // namespace tfodl
