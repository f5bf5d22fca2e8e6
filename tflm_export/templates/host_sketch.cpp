// Runs a sketch on a computer. TFODL_FLASH: a file that is its flash, so that it outlives the power; TFODL_CONSTANTS: one
// that is the flash of constants which lie beside the sketch.
#include <Arduino.h>
#include <fcntl.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

HostSerial Serial;

namespace {

constexpr int kIdleMs = 2, kPipeBytes = 512;

bool ready(int file, short event, int ms) {
  pollfd one = {file, event, 0};
  return poll(&one, 1, ms) > 0;
}

}  // namespace

int HostSerial::available() {
  if (from_ == to_ && ready(0, POLLIN, kIdleMs)) {
    from_ = 0;
    to_ = static_cast<int32_t>(::read(0, came_, sizeof came_));
    if (to_ <= 0) exit(0);
  }
  return to_ - from_;
}

int HostSerial::read() { return available() > 0 ? came_[from_++] : -1; }

int HostSerial::availableForWrite() { return ready(1, POLLOUT, 1) ? kPipeBytes : 0; }

size_t HostSerial::write(const uint8_t* data, size_t n) {
  const ssize_t done = ::write(1, data, n);
  if (done < 0) exit(0);
  return static_cast<size_t>(done);
}

unsigned long millis() {
  timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return static_cast<unsigned long>(now.tv_sec * 1000 + now.tv_nsec / 1000000);
}

namespace tfodl {

uint8_t* host_flash(uint32_t bytes) {
  const char* path = getenv("TFODL_FLASH");
  const int file = path == nullptr ? -1 : open(path, O_RDWR | O_CREAT, 0600);
  struct stat is = {};
  if (path != nullptr && (file < 0 || fstat(file, &is) != 0 || ftruncate(file, bytes) != 0)) exit(2);
  const int kind = file < 0 ? MAP_PRIVATE | MAP_ANONYMOUS : MAP_SHARED;
  void* const flash = mmap(nullptr, bytes, PROT_READ | PROT_WRITE, kind, file, 0);
  if (flash == MAP_FAILED) exit(2);
  if (is.st_size != static_cast<off_t>(bytes)) memset(flash, 0xFF, bytes);
  return static_cast<uint8_t*>(flash);
}

void host_constants(void* place, uint32_t bytes) {
  const char* path = getenv("TFODL_CONSTANTS");
  if (path == nullptr) return;
  const size_t whole = (bytes + 4095) / 4096 * 4096;
  const int file = open(path, O_RDWR | O_CREAT, 0600);
  struct stat is = {};
  if (file < 0 || fstat(file, &is) != 0 || ftruncate(file, static_cast<off_t>(whole)) != 0) exit(2);
  if (mmap(place, whole, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_FIXED, file, 0) == MAP_FAILED) exit(2);
  const size_t held = static_cast<size_t>(is.st_size);
  if (held < whole) memset(static_cast<char*>(place) + held, 0xFF, whole - held);
}

}  // namespace tfodl

int main() {
  setup();
  for (;;) loop();
}
