// Learns from labelled samples that come in over Serial, and predicts.
//
// This folder is made by `tflm-export sketch`: TFODL.h holds the engine of your model.
// Feed it from Python:  from tflm_export.board.client import BoardClient
// Watch it: each training step prints a line for the serial plotter, loss:0.412<tab>acc:0.750
// (acc: share of the samples, or labels, that the network had right before it learned from them, a running mean; a
// regression and an autoencoder print mean: the running mean of the loss).

#include <TFODL.h>

class SerialLink : public tfodl::ByteLink {
 public:
  int32_t read() override { return Serial.read(); }
  void write(const uint8_t* data, uint32_t n) override { Serial.write(data, n); }
};

SerialLink serial_link;
uint8_t staging[tfodl::kSketchStagingBytes];
tfodl::SerialProtocol protocol(serial_link, tfodl::learner(), staging, sizeof staging);
float score = 0.0f;

void setup() {
  Serial.begin(115200);
  pinMode(LED_BUILTIN, OUTPUT);
  tfodl::net::reset();
}

void loop() {
  const uint8_t done = protocol.poll(millis());
  if (done != static_cast<uint8_t>(tfodl::Command::kTrain)) return;
  digitalWrite(LED_BUILTIN, protocol.steps() & 1 ? HIGH : LOW);

  // The mean over all steps at first, over about the last 32 later.
  const uint32_t n = protocol.steps() < 32 ? protocol.steps() : 32;
  score += (tfodl::last_score() - score) / n;

  char line[48];
  tfodl::format_progress(protocol.loss(), tfodl::kScoreName, score, line);
  Serial.print(line);
}
