// Runs $name on samples.bin: `inferences` pictures, then `steps` labelled pictures; weights to weights.bin.
#include <string.h>

#include "$name.h"
#include "board.h"

namespace {

int8_t* samples;
int8_t* outputs;
const int32_t kSampleBytes = $name::kInputBytes + $target_bytes;

${engine_input}$parts
void infer(void*) { $name::infer(); }
void train(void* target) { $name::train_step($target); }
$replay
}  // namespace

int main() {
  const uint32_t bytes = board_file_size("samples.bin");
  samples = static_cast<int8_t*>(board_alloc(bytes));
  board_read("samples.bin", samples, bytes);
  outputs = static_cast<int8_t*>(board_alloc($inferences * $name::kOutputs + 1));
  $name::reset();
$open  for (int32_t i = 0; i < $inferences; ++i) {
    memcpy(engine_input(), samples + i * kSampleBytes, $name::kInputBytes);
    board_measure("inference", infer, nullptr);
    memcpy(outputs + i * $name::kOutputs, $name::output(), $name::kOutputs);
  }
  board_write("outputs.bin", outputs, $inferences * $name::kOutputs);
  for (int32_t i = 0; i < $steps; ++i) {
    int8_t* sample = samples + ($inferences + i) * kSampleBytes;
    memcpy(engine_input(), sample, $name::kInputBytes);
    board_measure("train_step", train, sample + $name::kInputBytes);
$room$remember  }
  write_weights();
$measure_replay  return 0;
}
