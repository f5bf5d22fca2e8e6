// A board whose sensors give what was recorded: runs a sketch on a computer and on the emulated Cortex-M4.
//
// Files of the working folder: sensor.bin, what SENSOR gives, one after the other, and at its end the program ends;
// keys.bin, what a person does: records of a time in ms u32 and a key u32, or kButtonDown, kButtonUp. Time is the sensor's
// own. Each line that the sketch says is printed behind its time: "ms 1200", newline, the line.
#include <Arduino.h>
#include <Arduino_LSM9DS1.h>
#include <Arduino_OV767X.h>
#include <PDM.h>

#include "board.h"

SerialStub Serial;
OV767X Camera;
LSM9DS1Class IMU_LSM9DS1;
PDMClass PDM;

namespace {

constexpr uint32_t kButtonDown = 0x80, kButtonUp = 0x81;
constexpr uint32_t kFrameUs = 200000, kSide = 28, kMagnify = 4;
constexpr float kImuHz = 119.0f;
constexpr uint32_t kThin = 2, kBlock = 256;  // a sound has 8,000 Hz, the microphone twice that

uint8_t* recorded;
uint32_t recorded_bytes, recorded_at;
uint32_t* keys;
uint32_t key_count, key_at;
uint64_t now_us;
bool button_is_down, in_line;
void (*on_receive)();

uint32_t now_ms() { return static_cast<uint32_t>(now_us / 1000); }

// The next bytes of the recording; at its end the program ends.
const uint8_t* take(uint32_t n) {
  if (recorded_at + n > recorded_bytes) board_exit(0);
  recorded_at += n;
  return recorded + recorded_at - n;
}

// What the person did until now; the key that is waiting, or 0.
uint32_t waiting_key() {
  while (key_at < key_count && keys[2 * key_at] <= now_ms() && keys[2 * key_at + 1] >= kButtonDown) {
    button_is_down = keys[2 * key_at++ + 1] == kButtonDown;
  }
  return key_at < key_count && keys[2 * key_at] <= now_ms() ? keys[2 * key_at + 1] : 0;
}

uint8_t* whole_file(const char* name, uint32_t* bytes) {
  *bytes = board_file_size(name);
  uint8_t* const data = static_cast<uint8_t*>(board_alloc(*bytes + 1));
  board_read(name, data, *bytes);
  return data;
}

}  // namespace

void SerialStub::begin(unsigned long) {}
int SerialStub::available() {
  if (on_receive != nullptr) {
    now_us += kBlock * 1000000ull / 16000;
    on_receive();
  }
  return waiting_key() != 0;
}
int SerialStub::read() {
  const uint32_t key = waiting_key();
  if (key != 0) ++key_at;
  return key != 0 ? static_cast<int>(key) : -1;
}
size_t SerialStub::print(const char text[]) {
  if (!in_line) board_print_number("ms", now_ms());
  in_line = true;
  board_print(text);
  return strlen(text);
}
size_t SerialStub::println(const char text[]) {
  const size_t n = print(text);
  board_print("\n");
  in_line = false;
  return n + 1;
}

unsigned long millis() {
  now_us += 100;  // a sketch that waits for the time gets there
  return now_ms();
}
void delay(unsigned long ms) { now_us += ms * 1000ull; }
void pinMode(pin_size_t, PinMode) {}
void digitalWrite(pin_size_t, PinStatus) {}
PinStatus digitalRead(pin_size_t) {
  waiting_key();
  return button_is_down ? LOW : HIGH;
}

// Pictures uint8 [28][28], grey, four times as large in the middle of a black frame.
int OV767X::begin(int resolution, int format, int fps, int camera_name) {
  return resolution == QQVGA && format == GRAYSCALE && fps == 5 && camera_name == OV7675;
}
void OV767X::readFrame(void* buffer) {
  const uint8_t* const picture = take(kSide * kSide);
  uint8_t* const frame = static_cast<uint8_t*>(buffer);
  memset(frame, 0, 160 * 120);
  for (uint32_t y = 0; y < kSide * kMagnify; ++y) {
    for (uint32_t x = 0; x < kSide * kMagnify; ++x) {
      frame[(y + 4) * 160 + x + 24] = picture[y / kMagnify * kSide + x / kMagnify];
    }
  }
  now_us += kFrameUs;
}

// int16 [3] as the sensor has them, at 4 g.
int LSM9DS1Class::begin() { return 1; }
float LSM9DS1Class::accelerationSampleRate() { return kImuHz; }
int LSM9DS1Class::accelerationAvailable() { return 1; }
int LSM9DS1Class::readAcceleration(float& x, float& y, float& z) {
  int16_t data[3];
  memcpy(data, take(sizeof data), sizeof data);
  x = data[0] * 4.0f / 32768.0f;
  y = data[1] * 4.0f / 32768.0f;
  z = data[2] * 4.0f / 32768.0f;
  now_us += static_cast<uint64_t>(1e6f / kImuHz);
  return 1;
}

// int16 of 8,000 Hz, each twice.
int PDMClass::begin(int channels, int sampleRate) { return channels == 1 && sampleRate == 16000; }
void PDMClass::onReceive(void (*function)(void)) { on_receive = function; }
int PDMClass::available() { return 2 * kBlock; }
int PDMClass::read(void* buffer, size_t size) {
  const uint8_t* const sound = take(static_cast<uint32_t>(size) / kThin);
  uint8_t* const to = static_cast<uint8_t*>(buffer);
  for (uint32_t i = 0; i < size / 2; ++i) memcpy(to + 2 * i, sound + i / kThin * 2, 2);
  return static_cast<int>(size);
}

int main() {
  uint32_t key_bytes;
  recorded = whole_file("sensor.bin", &recorded_bytes);
  keys = reinterpret_cast<uint32_t*>(whole_file("keys.bin", &key_bytes));
  key_count = key_bytes / 8;
  setup();
  for (;;) loop();
}

namespace tfodl {

uint8_t* host_flash(uint32_t bytes) {
  uint8_t* const flash = static_cast<uint8_t*>(board_alloc(bytes));
  memset(flash, 0xFF, bytes);
  return flash;
}

}  // namespace tfodl
