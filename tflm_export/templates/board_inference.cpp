// Runs $name on samples.bin, `inferences` pictures.
#include <string.h>

#include "$name.h"
#include "board.h"

namespace {

${engine_input}void infer(void*) { $name::infer(); }

}  // namespace

int main() {
  const uint32_t bytes = board_file_size("samples.bin");
  int8_t* samples = static_cast<int8_t*>(board_alloc(bytes));
  board_read("samples.bin", samples, bytes);
  int8_t* outputs = static_cast<int8_t*>(board_alloc($inferences * $name::kOutputs));
  for (int32_t i = 0; i < $inferences; ++i) {
    memcpy(engine_input(), samples + i * $name::kInputBytes, $name::kInputBytes);
    board_measure("inference", infer, nullptr);
    memcpy(outputs + i * $name::kOutputs, $name::output(), $name::kOutputs);
  }
  board_write("outputs.bin", outputs, $inferences * $name::kOutputs);
  return 0;
}
