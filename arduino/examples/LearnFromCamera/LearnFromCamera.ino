// Looks, says what it sees, and learns what you tell it.
//
// For a Nano 33 BLE with an OV7675 (Tiny Machine Learning Kit) and the library Arduino_OV767X. This folder is made by
// `tflm-export sketch --example camera`; TFODL.h holds the engine of your model.
// The LEDs show a class as a number, red 1, green 2, blue 4: the first one is red, the second green, the third both.
// Is it wrong? Send the right class over Serial (0 to 9, then a to z; one above the last is a new class, where the
// engine has a spare one), or press the button once for each class that the right one is further. `s` saves.

#include <TFODL.h>
#include <Arduino_OV767X.h>

constexpr int kButton = 13;                       // of the kit's shield, to ground
constexpr unsigned long kPatienceMs = 700;        // after the last press
constexpr int32_t kWidth = 160, kHeight = 120;    // QQVGA; the middle of it is looked at, in the picture's proportions
constexpr int32_t kWide = kHeight * tfodl::kColumns / tfodl::kRows;
constexpr int32_t kLookWidth = kWide < kWidth ? kWide : kWidth, kLeft = (kWidth - kLookWidth) / 2;
constexpr bool kColour = tfodl::kChannels == 3;
uint8_t frame[kWidth * kHeight * (kColour ? 2 : 1)];

// Adds a pixel of the frame to sums [kChannels]: RGB565, its high byte first, or grey.
void add_pixel(int32_t at, uint32_t* sums) {
  if (kColour) {
    const uint32_t pixel = uint32_t{frame[2 * at]} << 8 | frame[2 * at + 1];
    sums[0] += pixel >> 11 << 3;
    sums[1] += (pixel >> 5 & 0x3F) << 2;
    sums[2] += (pixel & 0x1F) << 3;
  } else {
    sums[0] += frame[at];
  }
}

int32_t after(int32_t from, int32_t to) { return to > from ? to : from + 1; }

// Row y of the picture: every pixel is the mean of those of the frame that lie in it. The engine takes it as it comes,
// so that the picture need not lie in RAM beside the frame.
void row(int32_t y, int8_t* to) {
  const int32_t top = y * kHeight / tfodl::kRows, bottom = after(top, (y + 1) * kHeight / tfodl::kRows);
  for (int32_t x = 0; x < tfodl::kColumns; ++x, to += tfodl::kChannels) {
    const int32_t left = kLeft + x * kLookWidth / tfodl::kColumns;
    const int32_t right = after(left, kLeft + (x + 1) * kLookWidth / tfodl::kColumns);
    uint32_t sums[3] = {0, 0, 0};
    for (int32_t v = top; v < bottom; ++v) {
      for (int32_t u = left; u < right; ++u) add_pixel(v * kWidth + u, sums);
    }
    const uint32_t n = static_cast<uint32_t>((bottom - top) * (right - left));
    const uint8_t pixel[3] = {static_cast<uint8_t>(sums[0] / n), static_cast<uint8_t>(sums[1] / n),
                              static_cast<uint8_t>(sums[2] / n)};
    tfodl::pixel_to(to, pixel);
  }
}

const uint8_t leds[3] = {LEDR, LEDG, LEDB};

void show(int32_t label) {
  for (int i = 0; i < 3; ++i) digitalWrite(leds[i], (label + 1) >> i & 1 ? LOW : HIGH);  // LOW is on
}

// The class that the button asks for, counted from the one that is shown; -1 when it is not pressed.
int32_t pressed(int32_t shown) {
  int32_t label = shown;
  bool was_down = false;
  for (unsigned long last = millis(); millis() - last < (label == shown ? 1 : kPatienceMs);) {
    const bool down = digitalRead(kButton) == LOW;
    if (down && !was_down) {
      label = (label + 1) % tfodl::classes();
      show(label);
    }
    if (down != was_down) {
      last = millis();
      delay(20);  // it bounces
    }
    was_down = down;
  }
  return label == shown ? -1 : label;
}

// What the picture really is: by a key, or by the button; -1: nobody says.
int32_t told(int32_t shown) {
  if (Serial.available() == 0) return pressed(shown);
  const int key = Serial.read();
  if (key == 's') Serial.println(tfodl::keep() ? "saved" : "not saved");
  return tfodl::class_of_key(key);
}

void setup() {
  Serial.begin(115200);
  pinMode(kButton, INPUT_PULLUP);
  for (uint8_t led : leds) pinMode(led, OUTPUT);
  tfodl::start(nullptr);
  while (!Camera.begin(QQVGA, kColour ? RGB565 : GRAYSCALE, 5, OV7675)) {
    Serial.println("no camera answers");
    delay(1000);
  }
}

void loop() {
  Camera.readFrame(frame);
  tfodl::look(row);
  const int32_t seen = tfodl::net::predict();
  show(seen);
  Serial.println(tfodl::class_name(seen));
  const int32_t label = told(seen);
  if (label < 0) return;
  tfodl::look(row);
  tfodl::learn(label);
  Serial.print("learned ");
  Serial.println(tfodl::class_name(label));
}
