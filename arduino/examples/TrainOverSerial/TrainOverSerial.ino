// Learns from labelled samples that come in over Serial, and predicts.
//
// This folder is made by `tflm-export sketch`: TFODL.h holds the engine of your model.
// Feed it from a computer:  tfodl board learn ENGINE --data FOLDER
// or watch it: each training step prints a line for the serial plotter, loss:0.412<tab>acc:0.750
// (acc: share of the samples, or labels, that the network had right before it learned from them, a running mean; a
// regression and an autoencoder print mean: the running mean of the loss).

#include <TFODL.h>
#include <tfodl/serial/arduino_link.h>

tfodl::PortLink<decltype(Serial)> serial_link(Serial, millis);
uint8_t staging[tfodl::kSketchStagingBytes];
tfodl::SerialProtocol protocol(serial_link, tfodl::learner(), staging, sizeof staging);
float score = 0.0f;

// Called while the board is at work: where flash is written, and behind every kernel of an engine that was compiled with
// --pauses. Feed a watchdog of yours here.
void still_working() {
  protocol.still_working(millis());
  yield();
}

void setup() {
  Serial.begin(115200);
  pinMode(LED_BUILTIN, OUTPUT);
  tfodl::start(still_working);
}

void show_progress() {
  digitalWrite(LED_BUILTIN, protocol.steps() & 1 ? HIGH : LOW);

  // The mean over all steps at first, over about the last 32 later.
  const uint32_t n = protocol.steps() < 32 ? protocol.steps() : 32;
  score += (tfodl::last_score() - score) / n;

  char line[48];
  const int32_t length = tfodl::format_progress(protocol.loss(), tfodl::kScoreName, score, line);
  serial_link.write(reinterpret_cast<uint8_t*>(line), length);
}

void loop() {
  const uint32_t before = protocol.steps();
  protocol.poll(millis());
  if (protocol.steps() > before) show_progress();
}
