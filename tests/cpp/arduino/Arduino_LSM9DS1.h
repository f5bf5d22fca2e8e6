// The library of the Nano 33 BLE Sense's IMU, as much as a sketch uses of it.
#pragma once
#include <Arduino.h>

class LSM9DS1Class {
 public:
  int begin();
  virtual int readAcceleration(float& x, float& y, float& z);  // in g
  virtual int accelerationAvailable();
  virtual float accelerationSampleRate();
};

extern LSM9DS1Class IMU_LSM9DS1;
#undef IMU
#define IMU IMU_LSM9DS1
