// A board that learns, at the other end of a serial line: samples in, predictions and weights out. docs/protocol.md.
//
// Frame, little endian, both ways:
//   0xA5 0x7E | command u8 | sequence u8 | payload bytes u32 | check u16 | payload | CRC-32 u32
// check: low half of the CRC-32 of the 8 bytes before it. The last field is the CRC-32 of these 8 bytes and
// the payload. An answer has the command with bit 7 set, the same sequence, and a Status as the first byte of
// its payload. Text lines may stand between answers: 0xA5 is no ASCII.
//
// A command that changes something is carried out once: the same frame again, sequence and all, is a host that did
// not get the answer, and is answered again. A frame that is refused changes nothing but input(); the reader looks
// for the next 0xA5 0x7E. There is no buffer for a picture: it goes straight into the engine's input(). Portable
// C++14; no allocation.
#ifndef TFODL_SERIAL_PROTOCOL_H
#define TFODL_SERIAL_PROTOCOL_H
#include "tfodl/support.h"

namespace tfodl {

// Bytes to and from the host: Serial on a board, a recording in the tests.
class ByteLink {
 public:
  virtual uint32_t read(uint8_t* to, uint32_t most) = 0;       // how many bytes had come in, at most `most`
  virtual bool write(const uint8_t* data, uint32_t n) = 0;     // false: the host does not take them

 protected:
  ~ByteLink() = default;
};

enum class Command : uint8_t {
  kInfo = 1,
  kPredict = 2,
  kTrain = 3,
  kReadWeights = 4,
  kWriteWeights = 5,
  kReset = 6,
  kLearningRate = 7,
  kParameter = 8,
  kAbout = 9,
  kBeginWeights = 10,
  kEndWeights = 11,
  kEvaluate = 12,
  kConfusion = 13,
  kRemember = 14,
  kRest = 15,
  kNewClass = 16,
  kClassName = 17,
  kJudge = 18,
  kNewEpoch = 19,
  kSave = 20,
  kRestore = 21,
  kFactoryReset = 22,
  kReadFlash = 23,
  kConstants = 24,
  kConstantsPage = 25,
  kBeginConstants = 26,
  kWriteConstants = 27,
  kEndConstants = 28,
  kLast = kEndConstants,
};

enum class Status : uint8_t {
  kOk = 0,
  kUnknownCommand = 1,
  kWrongLength = 2,
  kDamaged = 3,     // checksum
  kTimeout = 4,     // the frame stopped half way
  kOutOfRange = 5,  // parameter, offset, label or value
  kNoPart = 6,      // this engine has no memory, store, ... that the command is for
  kUnfinished = 7,  // weights are being written; end that, or reset
  kNoConstants = 8, // what the engine reads in flash is missing, damaged or another's; write it
  kForeign = 9,     // constants of another engine
  kOccupied = 10,   // something else lies where the constants belong
  kFlash = 16,      // and above: 16 + StoreStatus
  kWorking = 255,   // the frame is good; its answer takes a while
};

// What else is to know of a command.
enum Trait : uint8_t {
  kPicture = 1,  // an input follows behind the other bytes
  kOnce = 2,     // it changes something
  kLong = 4,     // it takes more than a moment
  kWhole = 8,    // not while weights are being written
  kBare = 16,    // it needs no constants
};

class SerialProtocol;

// A command that the sketch serves. run: carries it out and leaves its answer, by add_u32 for kOnce, else by begin and
// put; where it is not kOk it has left none, and changed nothing.
struct ServedCommand {
  Command command;
  uint8_t traits;
  uint16_t least, most;  // bytes of payload, the picture apart
  Status (*run)(SerialProtocol&);
};

// A generated engine, as the protocol drives it; docs/protocol.md tells what a target is.
struct Learner {
  int8_t* (*input)();
  uint32_t input_bytes;
  float input_scale;
  int32_t input_zero;
  int32_t (*predict)();  // runs it: the class, -1 without classes
  const int8_t* (*output)();
  uint32_t outputs;
  float output_scale;
  int32_t output_zero;
  uint32_t target_bytes;
  bool (*train)(const uint8_t* target, float* loss);  // false: the target is refused
  int32_t (*guess)();       // the class that the last step's sample seemed to be, -1 without classes
  bool (*epoch_is_over)();  // null: it has no epochs
  bool (*set_learning_rate)(float);
  void (*reset)();
  const Parameter* (*parameters)();
  uint32_t parameter_count;
  void (*count)(uint32_t counts[4]);  // classes in use, samples remembered, pictures that judge, epoch
  const uint8_t* engine_id;           // [8] of model and plan
  const char* about;                  // JSON
  uint32_t about_bytes;
  const ServedCommand* commands;
  uint8_t command_count;
  bool (*constants_ok)() = nullptr;  // null: they are part of the program
  void (*written)() = nullptr;       // told when a host has written the parameters
};

constexpr uint8_t kProtocolVersion = 2;
constexpr uint32_t kFrameTimeoutMs = 1000;
constexpr uint32_t kWorkingMs = 200;      // between two signs of life
constexpr uint32_t kPollBytes = 4096;     // taken at a time
constexpr uint32_t kStagingBytes = 262;   // the least: 6 bytes and 256 of weights

class SerialProtocol {
 public:
  // staging [staging_bytes]: room for all of a frame but its picture: kStagingBytes, or the largest `most` of a command.
  SerialProtocol(ByteLink& link, const Learner& learner, uint8_t* staging, uint32_t staging_bytes);

  // Takes some of what has come in and answers at most one frame. Call it often. The command it carried out, or 0.
  uint8_t poll(uint32_t now_ms);

  // A sign of life in the middle of a long command; from a flash area's pause(), say. Any other time it does nothing.
  void still_working(uint32_t now_ms);

  uint32_t steps() const { return steps_; }  // since the start or a reset
  float loss() const { return loss_; }       // of the last training step

  // The rest is for commands: what came in,
  const Learner& learner() const { return learner_; }
  const uint8_t* staged() const { return staging_; }
  uint32_t staged_bytes() const { return staged_; }
  uint32_t staged_u16(uint32_t at) const { return staging_[at] | uint32_t{staging_[at + 1]} << 8; }
  uint32_t staged_u32(uint32_t at) const { return staged_u16(at) | staged_u16(at + 2) << 16; }
  int32_t staged_i32(uint32_t at) const { return static_cast<int32_t>(staged_u32(at)); }

  // what goes out: an answer of at most 16 bytes that is kept, or begin, then `bytes` in all,
  void add_u32(uint32_t value);
  void add_f32(float value);
  void begin(uint32_t bytes) { begin_answer(Status::kOk, bytes); }
  void put(const void* data, uint32_t n);
  void put_u32(uint32_t value);
  void put_f32(float value);

  // and what they remember.
  void step_done(float loss);
  void restarted();  // weights are whole, as they were flashed or saved
  void set_writing(bool on) { writing_ = on; }
  bool writing() const { return writing_; }
  uint8_t last_sequence() const { return kept_sequence_; }  // of the last command that changed something

 private:
  enum class State : uint8_t { kHeader, kPayload, kCheck };

  uint8_t* place(uint32_t* room);
  void take(const uint8_t* data, uint32_t n);
  void take_header();
  void open_payload();
  Status find_command();
  void finish();
  void execute();
  void answer_kept();
  void restart();
  void begin_answer(Status status, uint32_t bytes);
  void end_answer();
  void send(const uint8_t* data, uint32_t n);
  void flush();
  void answer(Status status);

  ByteLink& link_;
  const Learner& learner_;
  uint8_t* staging_;
  uint32_t staging_bytes_;
  const ServedCommand* command_ = nullptr;  // of the frame that comes in

  State state_ = State::kHeader;
  uint8_t header_[10];
  uint8_t check_[4];
  uint8_t filled_ = 0;       // of header_, or of check_
  uint8_t done_ = 0;
  bool answered_ = false;    // in this poll
  bool open_ = false;        // an answer is being sent
  bool mute_ = false;        // the host does not take the rest of it
  bool running_ = false;     // a long command
  bool writing_ = false;
  uint32_t length_ = 0;      // payload bytes announced
  uint32_t received_ = 0;    // payload bytes taken
  uint32_t staged_ = 0;      // the first payload bytes go to staging_, the rest to input()
  uint32_t crc_ = 0;
  uint32_t last_byte_ms_ = 0;
  uint32_t last_sign_ms_ = 0;
  uint32_t answer_crc_ = 0;
  uint8_t out_[64];          // a packet of USB
  uint8_t out_filled_ = 0;

  bool kept_ = false;        // the last frame that changed something, and its answer
  uint8_t kept_sequence_ = 0;
  uint8_t kept_bytes_ = 0;
  uint8_t kept_answer_[16];
  uint32_t kept_crc_ = 0;

  uint32_t steps_ = 0;
  float loss_ = 0.0f;
};

// "loss:0.412\tacc:0.750\n" for the serial plotter, 0-terminated; out [48]. name: of the score, at most 8 characters.
// Both numbers are clamped to 0..1e6. Returns the length.
int32_t format_progress(float loss, const char* name, float score, char* out);

}  // namespace tfodl

#endif  // TFODL_SERIAL_PROTOCOL_H
