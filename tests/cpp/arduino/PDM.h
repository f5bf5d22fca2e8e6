// The microphone's library, as much as a sketch uses of it.
#pragma once
#include <Arduino.h>

class PDMClass {
 public:
  int begin(int channels, int sampleRate);
  virtual int available();
  virtual int read(void* buffer, size_t size);
  void onReceive(void (*)(void));
};

extern PDMClass PDM;
