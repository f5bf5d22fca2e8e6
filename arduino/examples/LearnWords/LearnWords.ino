// Hears words, and learns how you say them.
//
// For a board with Arduino's PDM microphone: Nano 33 BLE Sense, Nano RP2040 Connect, Nicla Vision, Portenta's shield.
// This folder is made by `tflm-export sketch --example sound`; TFODL.h holds the engine of your model and its log-mel
// features.
// Serial says each word that it hears, the LED lights up. Was it another? Send the right class (0 to 9, then a to z;
// one above the last is a new class, where the engine has a spare one). `s` saves.

#include <TFODL.h>
#include <PDM.h>

constexpr int32_t kMicrophoneHz = 16000, kThin = kMicrophoneHz / tfodl::kSoundHz;
static_assert(kThin * tfodl::kSoundHz == kMicrophoneHz, "the microphone has 16,000 Hz: whole parts of that only");
constexpr uint32_t kRing = 4096;       // samples that may wait; a power of two
constexpr uint32_t kLoud = 4;          // times the quietest frame is a word
constexpr int32_t kFrames = tfodl::kFrames, kBands = tfodl::kBands, kHop = tfodl::kHopSamples;

int16_t ring[kRing];
volatile uint32_t came = 0;            // samples, since the start
uint32_t used = 0;                     // samples before the next frame
int8_t features[kFrames][kBands];      // a ring of frames, and how loud they are
uint32_t loudness[kFrames];
int32_t next = 0;
int8_t word[kFrames * kBands];         // the last word, oldest frame first

void on_sound() {
  static int16_t buffer[512];
  static int32_t sum = 0, summed = 0;
  const int bytes = PDM.available();
  PDM.read(buffer, static_cast<size_t>(bytes));
  for (int i = 0; i < bytes / 2; ++i) {
    sum += buffer[i];
    if (++summed < kThin) continue;
    ring[came % kRing] = static_cast<int16_t>(sum / kThin);
    came = came + 1;
    sum = summed = 0;
  }
}

bool frame_is_there() {
  if (came - used > kRing) used = came - kRing / 2;  // too slow: what is lost is lost
  return came - used >= static_cast<uint32_t>(tfodl::kFrameSamples);
}

void take_frame() {
  static int16_t samples[tfodl::kFrameSamples];
  uint32_t sum = 0;
  for (int32_t i = 0; i < tfodl::kFrameSamples; ++i) {
    samples[i] = ring[(used + static_cast<uint32_t>(i)) % kRing];
    sum += static_cast<uint32_t>(samples[i] < 0 ? -samples[i] : samples[i]);
  }
  used += static_cast<uint32_t>(kHop);
  tfodl::frame_features(samples, features[next]);
  loudness[next] = sum;
  next = (next + 1) % kFrames;
}

// Whether the loudest of the last frames stands in their middle, and is a word: each word is met once.
bool word_is_there() {
  uint32_t least = loudness[0];
  int32_t loudest = 0;
  for (int32_t i = 0; i < kFrames; ++i) {
    if (loudness[i] < least) least = loudness[i];
    if (loudness[i] > loudness[loudest]) loudest = i;
  }
  return (loudest - next + kFrames) % kFrames == kFrames / 2 && loudness[loudest] > kLoud * least;
}

void keep_word() {
  for (int32_t t = 0; t < kFrames; ++t) memcpy(word + t * kBands, features[(next + t) % kFrames], kBands);
}

void put_word() { memcpy(tfodl::net::input(), word, sizeof word); }

void obey(int key) {
  const int32_t label = tfodl::class_of_key(key);
  if (key == 's') Serial.println(tfodl::keep() ? "saved" : "not saved");
  if (label < 0) return;
  put_word();
  tfodl::learn(label);
  Serial.print("learned ");
  Serial.println(tfodl::class_name(label));
}

void setup() {
  Serial.begin(115200);
  pinMode(LED_BUILTIN, OUTPUT);
  tfodl::start(nullptr);
  PDM.onReceive(on_sound);
  while (!PDM.begin(1, kMicrophoneHz)) {
    Serial.println("no microphone answers");
    delay(1000);
  }
}

void loop() {
  if (frame_is_there()) {
    take_frame();
    const bool heard = word_is_there();
    digitalWrite(LED_BUILTIN, heard ? HIGH : LOW);
    if (heard) {
      keep_word();
      put_word();
      Serial.println(tfodl::class_name(tfodl::net::predict()));
    }
  } else if (Serial.available() > 0) {
    obey(Serial.read());
  }
}
