// The library of the Nano 33 BLE Sense Rev2's IMU, as much as a sketch uses of it.
#pragma once
#include <Arduino.h>

class BoschSensorClass {
 public:
  int begin();
  virtual int readAcceleration(float& x, float& y, float& z);  // in g
  virtual int accelerationAvailable();
  virtual float accelerationSampleRate();
};

extern BoschSensorClass IMU;
