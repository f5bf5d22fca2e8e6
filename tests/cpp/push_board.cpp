// Writes weights.bin into an engine that chooses what learns, pieces backwards and each twice, learns samples.bin and ends
// an epoch. Prints how many words its flash was given twice between two erases; area.bin is the flash, before and after.
#include <string.h>

#include "board.h"
#include "engine.h"

namespace {

constexpr uint32_t kPiece = 256, kSampleBytes = engine::kInputBytes + 4;

// Sees whether a word is written twice.
class OnceFlash : public tfodl::MemoryFlash {
 public:
  OnceFlash(uint8_t* memory, uint8_t* marks) : MemoryFlash(memory, 4096, engine::kAreaPages), marks_(marks) {}
  void write(uint32_t at, const void* data, uint32_t n) override {
    for (uint32_t i = at / 4; i < (at + n) / 4; ++i) twice += marks_[i]++ != 0;
    MemoryFlash::write(at, data, n);
  }
  void erase_slice(uint8_t page) override {
    memset(marks_ + 1024u * page, 0, 1024);
    MemoryFlash::erase_slice(page);
  }
  uint32_t twice = 0;

 private:
  uint8_t* marks_;
};

uint8_t* file(const char* name, uint32_t* bytes) {
  *bytes = board_file_size(name);
  uint8_t* data = static_cast<uint8_t*>(board_alloc(*bytes));
  board_read(name, data, *bytes);
  return data;
}

void say(const char* name, tfodl::StoreStatus status) { board_print_number(name, static_cast<uint64_t>(status)); }

uint32_t put(int32_t tensor, const uint8_t* data) {
  const uint32_t size = engine::image_tensors()[tensor].nbytes;
  uint32_t refused = 0;
  for (uint32_t end = size; end > 0;) {
    const uint32_t at = (end - 1) / kPiece * kPiece;
    for (int32_t k = 0; k < 2; ++k) {
      refused += engine::put_image(tensor, at, data + at, end - at) != tfodl::StoreStatus::kOk;
    }
    end = at;
  }
  return refused;
}

}  // namespace

int main() {
  uint32_t area_bytes, weights_bytes, samples_bytes, crc_bytes;
  uint8_t* const memory = file("area.bin", &area_bytes);
  const uint8_t* weights = file("weights.bin", &weights_bytes);
  const uint8_t* sample = file("samples.bin", &samples_bytes);
  const uint8_t* const crc = file("crc.bin", &crc_bytes);
  uint8_t* const marks = static_cast<uint8_t*>(board_alloc(area_bytes / 4));
  memset(marks, 0, area_bytes / 4);
  OnceFlash area(memory, marks);
  say("open", engine::open(area, memory));
  say("begin", engine::begin_image());
  const uint8_t* end = weights + weights_bytes;
  uint32_t refused = 0, expected;
  for (int32_t i = engine::kImageTensors - 1; i >= 0; --i) {
    end -= engine::image_tensors()[i].nbytes;
    refused += put(i, end);
  }
  board_print_number("refused", refused);
  memcpy(&expected, crc, 4);
  say("wrong end", engine::end_image(expected + 1));
  say("end", engine::end_image(expected));
  for (uint32_t i = 0; i < samples_bytes; i += kSampleBytes) {
    int32_t label;
    memcpy(engine::input(), sample + i, engine::kInputBytes);
    memcpy(&label, sample + i + engine::kInputBytes, 4);
    engine::train_step(label);
    engine::remember(label);
  }
  say("new_epoch", engine::new_epoch());
  board_print_number("twice", area.twice);
  board_write("area.bin", memory, area_bytes);
  return 0;
}
