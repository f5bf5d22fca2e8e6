// Knows movements of the board, and learns new ones from five tries.
//
// For a Nano 33 BLE Sense and the library Arduino_LSM9DS1 (Rev2: Arduino_BMI270_BMM150). This folder is made by
// `tflm-export sketch --example motion`; TFODL.h holds the engine of your model.
// Serial says what the board takes the movement for. Is it wrong? Send the right class (0 to 9, then a to z). `n`
// teaches a new one, where the engine has a spare class: make the movement five times, each time while the LED is on.
// A new class is told from the others by what the board remembers of them, so show it each of those a few times first.
// `s` saves.

#include <TFODL.h>
#include <Arduino_LSM9DS1.h>  // Rev2: <Arduino_BMI270_BMM150.h>

constexpr float kHz = 50.0f;   // rows a second of the recordings that the model was made from
constexpr float kUnit = 1.0f;  // what they have where the sensor has a g: 9.80665 for m/s2, 1 for g
constexpr int kTries = 5;
constexpr int32_t kWindow = tfodl::kTimes, kStride = kWindow / 4;
static_assert(tfodl::kChannels == 3, "x, y and z of an accelerometer");

float ring[kWindow][3];  // the last values
int32_t next = 0;

// Waits for the next value at the recordings' rate.
void take() {
  static float due = 0.0f;
  float x = 0.0f, y = 0.0f, z = 0.0f;
  do {
    while (!IMU.accelerationAvailable()) {
    }
    IMU.readAcceleration(x, y, z);
    due += kHz / IMU.accelerationSampleRate();
  } while (due < 1.0f);
  due -= 1.0f;
  const float values[3] = {x, y, z};
  for (int i = 0; i < 3; ++i) ring[next][i] = kUnit * values[i];
  next = (next + 1) % kWindow;
}

void take(int32_t n) {
  for (int32_t i = 0; i < n; ++i) take();
}

// Puts the last window where the engine takes it.
void put_window() {
  for (int32_t t = 0; t < kWindow; ++t) {
    for (int32_t i = 0; i < 3; ++i) tfodl::put_value(3 * t + i, ring[(next + t) % kWindow][i]);
  }
}

void learn(int32_t label) {
  put_window();
  tfodl::learn(label);
}

void learn_new() {
  const int32_t label = tfodl::classes();
  if (label == tfodl::kMostClasses) {
    Serial.println("no class is left");
    return;
  }
  for (int i = 0; i < kTries; ++i) {
    take(static_cast<int32_t>(kHz));
    digitalWrite(LED_BUILTIN, HIGH);
    take(kWindow);
    digitalWrite(LED_BUILTIN, LOW);
    learn(label);
  }
  Serial.print("learned ");
  Serial.println(tfodl::class_name(label));
}

void obey(int key) {
  const int32_t label = tfodl::class_of_key(key);
  if (key == 'n') {
    learn_new();
  } else if (key == 's') {
    Serial.println(tfodl::keep() ? "saved" : "not saved");
  } else if (0 <= label && label < tfodl::classes()) {
    learn(label);
    Serial.print("learned ");
    Serial.println(tfodl::class_name(label));
  }
}

void setup() {
  Serial.begin(115200);
  pinMode(LED_BUILTIN, OUTPUT);
  tfodl::start(nullptr);
  while (!IMU.begin()) {
    Serial.println("no IMU answers");
    delay(1000);
  }
  if (IMU.accelerationSampleRate() < kHz) Serial.println("the recordings are faster than the sensor");
  take(kWindow);
}

void loop() {
  static int32_t last = -1;
  take(kStride);
  put_window();
  const int32_t label = tfodl::net::predict();
  if (label != last) Serial.println(tfodl::class_name(label));
  last = label;
  if (Serial.available() > 0) {
    obey(Serial.read());
    last = -1;
  }
}
