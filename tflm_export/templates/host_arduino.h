// As much of the Arduino core as a sketch needs to run on a computer: Serial is stdin and stdout.
#pragma once
#include <stddef.h>
#include <stdint.h>

#define LED_BUILTIN 13
#define OUTPUT 1
#define HIGH 1
#define LOW 0

class HostSerial {
 public:
  void begin(unsigned long) {}
  int available();  // waits a moment for the first byte; a host that went away ends the program
  int read();
  int availableForWrite();
  size_t write(const uint8_t* data, size_t n);

 private:
  uint8_t came_[4096];
  int32_t from_ = 0, to_ = 0;
};

extern HostSerial Serial;
unsigned long millis();
inline void yield() {}
inline void pinMode(uint8_t, uint8_t) {}
inline void digitalWrite(uint8_t, uint8_t) {}

void setup();
void loop();
