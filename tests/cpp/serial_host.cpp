// The sketch's protocol on a host: over stdin and stdout (`serial_host`), or over a recording on stdin
// (`serial_host replay`: records of pause in ms u16, bytes u16, bytes), where time is the recording's.
#include <TFODL.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

namespace {

class PipeLink : public tfodl::ByteLink {
 public:
  int32_t read() override {
    if (!wait(0)) return -1;
    uint8_t byte;
    if (::read(0, &byte, 1) != 1) exit(0);  // the host is gone
    return byte;
  }

  void write(const uint8_t* data, uint32_t n) override {
    while (n > 0) {
      const ssize_t done = ::write(1, data, n);
      if (done <= 0) exit(1);
      data += done;
      n -= static_cast<uint32_t>(done);
    }
  }

  bool wait(int ms) {
    pollfd in = {0, POLLIN, 0};
    return ::poll(&in, 1, ms) > 0;
  }
};

class ReplayLink : public PipeLink {
 public:
  int32_t read() override { return left_ > 0 ? take() : -1; }

  // The next record; false at the end.
  bool next(uint32_t* now_ms) {
    const int32_t low = getchar();
    if (low < 0) return false;
    *now_ms += static_cast<uint32_t>(low | getchar() << 8);
    left_ = getchar();
    left_ |= getchar() << 8;
    return true;
  }

  bool has_more() const { return left_ > 0; }

 private:
  int32_t take() {
    --left_;
    return getchar();
  }
  int32_t left_ = 0;
};

uint32_t milliseconds() {
  timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return static_cast<uint32_t>(now.tv_sec * 1000 + now.tv_nsec / 1000000);
}

void print_progress(tfodl::SerialProtocol& protocol, PipeLink& link) {
  char line[48];
  const int32_t n = tfodl::format_progress(protocol.loss(), tfodl::kScoreName, tfodl::last_score(), line);
  link.write(reinterpret_cast<uint8_t*>(line), static_cast<uint32_t>(n));
}

int replay(uint8_t* staging) {
  ReplayLink link;
  tfodl::SerialProtocol protocol(link, tfodl::learner(), staging, tfodl::kSketchStagingBytes);
  uint32_t now = 0;
  while (link.next(&now)) {
    do {
      protocol.poll(now);
    } while (link.has_more());
  }
  return 0;
}

int serve(uint8_t* staging) {
  PipeLink link;
  tfodl::SerialProtocol protocol(link, tfodl::learner(), staging, tfodl::kSketchStagingBytes);
  for (;;) {
    const uint8_t done = protocol.poll(milliseconds());
    if (done == static_cast<uint8_t>(tfodl::Command::kTrain)) print_progress(protocol, link);
    if (done == 0) link.wait(5);
  }
}

}  // namespace

int main(int argc, char**) {
  tfodl::net::reset();
  // On the heap, so that the sanitizer sees a byte too many.
  uint8_t* staging = static_cast<uint8_t*>(malloc(tfodl::kSketchStagingBytes));
  const int status = argc > 1 ? replay(staging) : serve(staging);
  free(staging);
  return status;
}
