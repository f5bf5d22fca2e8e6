// Runs $name on samples.bin: `inferences` pictures, then `steps` labelled pictures; weights to weights.bin.
#include <string.h>

#include "$name.h"
#include "board.h"

namespace {

int8_t* samples;
int8_t* outputs;
const int32_t kSampleBytes = $name::kInputBytes + $target_bytes;

int32_t label_of(const void* target) {
  int32_t label;
  memcpy(&label, target, sizeof label);
  return label;
}

void infer(void*) { $name::infer(); }
void train(void* target) { $name::train_step($target); }

void write_weights() {
  uint32_t total = 0;
  for (int32_t i = 0; i < $name::kParameters; ++i) total += $name::parameters()[i].nbytes;
  int8_t* all = static_cast<int8_t*>(board_alloc(total));
  uint32_t at = 0;
  for (int32_t i = 0; i < $name::kParameters; ++i) {
    memcpy(all + at, $name::parameters()[i].data, $name::parameters()[i].nbytes);
    at += $name::parameters()[i].nbytes;
  }
  board_write("weights.bin", all, total);
}

}  // namespace

int main() {
  const uint32_t bytes = board_file_size("samples.bin");
  samples = static_cast<int8_t*>(board_alloc(bytes));
  board_read("samples.bin", samples, bytes);
  outputs = static_cast<int8_t*>(board_alloc($inferences * $name::kOutputs + 1));
  $name::reset();
  for (int32_t i = 0; i < $inferences; ++i) {
    memcpy($name::input(), samples + i * kSampleBytes, $name::kInputBytes);
    board_measure("inference", infer, nullptr);
    memcpy(outputs + i * $name::kOutputs, $name::output(), $name::kOutputs);
  }
  board_write("outputs.bin", outputs, $inferences * $name::kOutputs);
  for (int32_t i = 0; i < $steps; ++i) {
    int8_t* sample = samples + ($inferences + i) * kSampleBytes;
    memcpy($name::input(), sample, $name::kInputBytes);
    board_measure("train_step", train, sample + $name::kInputBytes);
  }
  write_weights();
  return 0;
}
