// The sketch's protocol over a recording on stdin, where time is the recording's: records of pause in ms u16, bytes
// u16, bytes. For each, what the board answers: bytes u32, bytes.
#include <TFODL.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <vector>

namespace tfodl {

uint8_t* host_flash(uint32_t bytes) {
  uint8_t* flash = static_cast<uint8_t*>(malloc(bytes));
  memset(flash, 0xFF, bytes);
  return flash;
}

void host_constants(void* place, uint32_t bytes) {
  FILE* const file = fopen(getenv("TFODL_CONSTANTS"), "rb");
  if (file == nullptr || fread(place, 1, bytes, file) != bytes) exit(2);
  fclose(file);
}

}  // namespace tfodl

namespace {

class ReplayLink : public tfodl::ByteLink {
 public:
  uint32_t read(uint8_t* to, uint32_t most) override {
    const uint32_t n = most < left_ ? most : left_;
    left_ -= n;
    return static_cast<uint32_t>(fread(to, 1, n, stdin));
  }

  bool write(const uint8_t* data, uint32_t n) override {
    answers_.insert(answers_.end(), data, data + n);
    return true;
  }

  // The next record; false at the end.
  bool next(uint32_t* now_ms) {
    uint16_t head[2];
    if (fread(head, sizeof head, 1, stdin) != 1) return false;
    *now_ms += head[0];
    left_ = head[1];
    return true;
  }

  bool has_more() const { return left_ > 0; }

  void flush() {
    const uint32_t n = static_cast<uint32_t>(answers_.size());
    fwrite(&n, sizeof n, 1, stdout);
    if (n > 0) fwrite(answers_.data(), 1, n, stdout);
    answers_.clear();
  }

 private:
  uint32_t left_ = 0;
  std::vector<uint8_t> answers_;
};

ReplayLink replay;
// On the heap, so that the sanitizer sees a byte too many.
tfodl::SerialProtocol protocol(replay, tfodl::learner(),
                               static_cast<uint8_t*>(malloc(tfodl::kSketchStagingBytes)),
                               tfodl::kSketchStagingBytes);
uint32_t now = 0;

void pause_of_flash() {
  now += 50;
  protocol.still_working(now);
}

}  // namespace

int main() {
  tfodl::start(pause_of_flash);
  while (replay.next(&now)) {
    do {
      protocol.poll(now);
    } while (replay.has_more());
    replay.flush();
  }
  return 0;
}
