// As much of the Arduino core as sketches use, with the names and signatures of ArduinoCore-API, declared only. Tests compile
// sketches with it and look at the symbols that they need; sensor_board.cpp is a board behind it.
#pragma once
#include <stddef.h>
#include <stdint.h>
#include <string.h>

enum PinStatus { LOW = 0, HIGH = 1, CHANGE = 2, FALLING = 3, RISING = 4 };
enum PinMode { INPUT = 0, OUTPUT = 1, INPUT_PULLUP = 2, INPUT_PULLDOWN = 3 };
typedef uint8_t pin_size_t;

#define LED_BUILTIN (13u)
#define LEDR (22u)  // of a Nano 33 BLE
#define LEDG (23u)
#define LEDB (24u)

class SerialStub {
 public:
  void begin(unsigned long baud);
  int available();
  int read();
  int availableForWrite();
  size_t write(const uint8_t* data, size_t n);
  size_t print(const char text[]);
  size_t println(const char text[]);
};

extern SerialStub Serial;
unsigned long millis();
extern "C" void yield(void);
void delay(unsigned long ms);
void pinMode(pin_size_t pin, PinMode mode);
void digitalWrite(pin_size_t pin, PinStatus value);
PinStatus digitalRead(pin_size_t pin);

// Some cores declare POSIX functions; a sketch must not use their names.
extern "C" int link(const char*, const char*);
extern "C" int read(int, void*, size_t);

void setup();
void loop();
