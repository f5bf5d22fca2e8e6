// Sits on a machine, learns for an hour how it shakes, and warns when it shakes otherwise.
//
// For a Nano 33 BLE Sense and the library Arduino_LSM9DS1 (Rev2: Arduino_BMI270_BMM150). This folder is made by
// `tflm-export sketch --example anomaly`; TFODL.h holds the engine of your autoencoder.
// The engine says how strange the last moment is. In the hour it learns every moment, and in the hour's last quarter
// how strange normal moments are. From then on the LED warns, and Serial says WARN, when kInARow moments are stranger
// than normal ones ever are; moments that are not are learned on, so that it follows what changes slowly. `l` begins
// the hour again.

#include <TFODL.h>
#include <Arduino_LSM9DS1.h>  // Rev2: <Arduino_BMI270_BMM150.h>
#include <math.h>

#ifndef LEARN_MINUTES
#define LEARN_MINUTES 60
#endif
constexpr float kHz = 50.0f;     // rows a second of the recordings that the model was made from
constexpr float kUnit = 1.0f;   // what they have where the sensor has a g: 9.80665 for m/s2, 1 for g
constexpr unsigned long kLearnMs = LEARN_MINUTES * 60000ul;
constexpr float kDeviations = 5.0f;  // above the mean of normal moments
constexpr int kInARow = 3;
constexpr int32_t kRows = tfodl::kTimes * tfodl::kChannels / 3;  // of a moment: x, y, z, x, y, z, ...

unsigned long begun = 0;
float mean = 0.0f, squares = 0.0f;  // of the logarithm of how strange normal moments are
uint32_t judged = 0;
int strange = 0;  // moments in a row

// Waits for the next value of the sensor at the recordings' rate, and puts it where the engine takes row t.
void take(int32_t t) {
  static float due = 0.0f;
  float x = 0.0f, y = 0.0f, z = 0.0f;
  do {
    while (!IMU.accelerationAvailable()) {
    }
    IMU.readAcceleration(x, y, z);
    due += kHz / IMU.accelerationSampleRate();
  } while (due < 1.0f);
  due -= 1.0f;
  tfodl::put_value(3 * t, kUnit * x);
  tfodl::put_value(3 * t + 1, kUnit * y);
  tfodl::put_value(3 * t + 2, kUnit * z);
}

// Mean and sum of squared deviations, value by value (Welford 1962).
void count_as_normal(float value) {
  ++judged;
  const float off = value - mean;
  mean += off / static_cast<float>(judged);
  squares += off * (value - mean);
}

float threshold() { return mean + kDeviations * sqrtf(squares / static_cast<float>(judged)); }

void begin_again() {
  begun = millis();
  mean = squares = 0.0f;
  judged = 0;
  strange = 0;
  Serial.println("learning");
}

void setup() {
  Serial.begin(115200);
  pinMode(LED_BUILTIN, OUTPUT);
  tfodl::start(nullptr);
  while (!IMU.begin()) {
    Serial.println("no IMU answers");
    delay(1000);
  }
  begin_again();
}

void watch(float score) {
  strange = score > threshold() ? strange + 1 : 0;
  const bool warns = strange >= kInARow;
  digitalWrite(LED_BUILTIN, warns ? HIGH : LOW);
  if (warns) Serial.println("WARN");
}

void loop() {
  static bool watches = false;
  for (int32_t t = 0; t < kRows; ++t) take(t);
  const float score = logf(tfodl::net::score() + 1e-9f);
  const unsigned long learned = millis() - begun;
  if (learned < kLearnMs) {
    if (learned >= kLearnMs / 4 * 3) count_as_normal(score);
  } else {
    if (!watches) Serial.println("watching");
    watch(score);
  }
  watches = learned >= kLearnMs;
  if (strange == 0) tfodl::net::train_step();
  if (Serial.available() > 0 && Serial.read() == 'l') begin_again();
}
