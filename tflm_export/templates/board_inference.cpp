// Runs $name on samples.bin, `inferences` pictures.
#include <string.h>

#include "$name.h"
#include "board.h"

namespace {

${engine_input}void infer(void*) { $run; }

}  // namespace

int main() {
  const uint32_t bytes = board_file_size("samples.bin");
  int8_t* samples = static_cast<int8_t*>(board_alloc(bytes));
  board_read("samples.bin", samples, bytes);
  int8_t* outputs = static_cast<int8_t*>(board_alloc($inferences * $result_bytes));
  for (int32_t i = 0; i < $inferences; ++i) {
    memcpy(engine_input(), samples + i * $sample_bytes, $sample_bytes);
    board_measure("inference", infer, nullptr);
    memcpy(outputs + i * $result_bytes, $result, $result_bytes);
  }
  board_write("outputs.bin", outputs, $inferences * $result_bytes);
  return 0;
}
