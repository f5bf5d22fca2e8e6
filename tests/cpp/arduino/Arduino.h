// As much of the Arduino core as the sketch uses, declared only: tests compile the sketch and look at the
// symbols that it needs.
#pragma once
#include <stddef.h>
#include <stdint.h>

#define LED_BUILTIN 13
#define OUTPUT 1
#define HIGH 1
#define LOW 0

class SerialStub {
 public:
  void begin(unsigned long baud);
  int available();
  int read();
  int availableForWrite();
  size_t write(const uint8_t* data, size_t n);
};

extern SerialStub Serial;
unsigned long millis();
void pinMode(uint8_t pin, uint8_t mode);
void digitalWrite(uint8_t pin, uint8_t value);

// Some cores declare POSIX functions; a sketch must not use their names.
extern "C" int link(const char*, const char*);
extern "C" int read(int, void*, size_t);

void setup();
void loop();
