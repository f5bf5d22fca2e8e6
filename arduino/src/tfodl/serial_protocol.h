// A board that learns, at the other end of a serial line: samples in, predictions and weights out.
//
// Frame, little endian, both ways:
//   0xA5 0x7E | command u8 | sequence u8 | payload bytes u32 | check u16 | payload | CRC-32 u32
// check: low half of the CRC-32 of the 8 bytes before it. The last field is the CRC-32 of these 8 bytes and
// the payload. An answer has the command with bit 7 set, the same sequence, and a Status as the first byte of
// its payload. Text lines may stand between answers: 0xA5 is no ASCII.
//
// The same training frame twice in a row, sequence and all, is a host that did not get the answer: the step is
// answered again and not carried out again.
//
// A frame that is damaged, too long or stalls is answered with a Status and changes nothing but input(); the
// reader looks for the next 0xA5 0x7E. There is no buffer for a picture: it goes straight into the engine's
// input(). Portable C++14; no allocation.
#pragma once
#include "tfodl/detail/crc32.h"
#include "tfodl/support.h"

namespace tfodl {

// Bytes to and from the host: Serial on a board, a pipe in the tests.
class ByteLink {
 public:
  virtual int32_t read() = 0;  // the next byte, or -1 when none has come yet
  virtual void write(const uint8_t* data, uint32_t n) = 0;

 protected:
  ~ByteLink() = default;
};

// A generated engine, as the protocol drives it. predict: runs it and gives the class, -1 for one without classes.
// target of train: `target_bytes` bytes, a label as int32, int8 values (of the output's quantisation, or 1 and 0), or
// nothing; false when the target is refused.
struct Learner {
  int8_t* (*input)();
  uint32_t input_bytes;
  float input_scale;
  int32_t input_zero;
  int32_t (*predict)();
  const int8_t* (*output)();
  uint32_t outputs;
  float output_scale;
  int32_t output_zero;
  bool (*train)(const uint8_t* target, float* loss);
  uint32_t target_bytes;
  bool (*set_learning_rate)(float);
  void (*reset)();
  const Parameter* (*parameters)();
  uint32_t parameter_count;
  const uint8_t* model_id;  // [8], the first bytes of the model's SHA-256
};

enum class Command : uint8_t {
  kInfo = 1,          // -> see answer_info
  kPredict = 2,       // picture -> class i32, outputs int8 [n]
  kTrain = 3,         // target, picture -> loss f32, steps u32
  kReadWeights = 4,   // parameter u16, offset u32, bytes u16 -> bytes
  kWriteWeights = 5,  // parameter u16, offset u32, bytes
  kReset = 6,         // weights and optimizer as flashed
  kLearningRate = 7,  // f32 > 0
  kParameter = 8,     // parameter u16 -> bytes u32, name
};

enum class Status : uint8_t {
  kOk = 0,
  kUnknownCommand = 1,
  kWrongLength = 2,
  kDamaged = 3,   // checksum
  kTimeout = 4,   // the frame stopped half way
  kOutOfRange = 5,  // parameter, offset or value
};

constexpr uint8_t kProtocolVersion = 1;
constexpr uint32_t kFrameTimeoutMs = 1000;
constexpr uint32_t kStagingBytes = 262;  // the least: 6 bytes and 256 of weights

class SerialProtocol {
 public:
  // staging [staging_bytes]: room for a target and for all frames that carry no picture; at least
  // kStagingBytes and learner.target_bytes.
  SerialProtocol(ByteLink& link, const Learner& learner, uint8_t* staging, uint32_t staging_bytes);

  // Takes what has come in and answers at most one frame. Call it often. The command it carried out, or 0.
  uint8_t poll(uint32_t now_ms);

  uint32_t steps() const { return steps_; }  // since the start or a reset
  float loss() const { return loss_; }       // of the last training step

 private:
  enum class State : uint8_t { kHeader, kPayload, kCheck };

  void take(uint8_t byte);
  void take_header(uint8_t byte);
  void open_payload();
  void take_payload(uint8_t byte);
  Status expected_length(uint32_t length, uint32_t* staged) const;
  void finish();
  void execute();
  void restart();

  void answer_info();
  void answer_predict();
  void answer_train();
  void answer_read();
  void answer_write();
  void answer_learning_rate();
  void answer_parameter();
  const Parameter* parameter() const;

  void begin_answer(Status status, uint32_t bytes);
  void put(const void* data, uint32_t n);
  void put_u32(uint32_t value);
  void put_f32(float value);
  void end_answer();
  void answer(Status status);

  ByteLink& link_;
  const Learner& learner_;
  uint8_t* staging_;
  uint32_t staging_bytes_;

  State state_ = State::kHeader;
  Status status_ = Status::kOk;  // of the frame that comes in
  uint8_t header_[10];
  uint8_t filled_ = 0;       // of the header, or of the final CRC
  uint32_t length_ = 0;      // payload bytes announced
  uint32_t received_ = 0;    // payload bytes taken
  uint32_t staged_ = 0;      // the first payload bytes go to staging_, the rest to input()
  uint32_t crc_ = 0;
  uint32_t check_ = 0;
  uint32_t last_byte_ms_ = 0;
  uint32_t answer_crc_ = 0;
  uint32_t trained_ = 0;     // CRC of the last training frame
  bool again_ = false;       // nothing else was carried out since
  uint8_t done_ = 0;
  uint32_t steps_ = 0;
  float loss_ = 0.0f;
};

// "loss:0.412\tacc:0.750\n" for the serial plotter, 0-terminated; out [48]. name: of the score, at most 8 characters.
// Both numbers are clamped to 0..1e6. Returns the length.
int32_t format_progress(float loss, const char* name, float score, char* out);

}  // namespace tfodl
