// Runs $name with its images on area.bin: labelled pictures of samples.bin, an epoch's end after every `every` of them.
#include <string.h>

#include "$name.h"
#include "board.h"

namespace {

const int32_t kSampleBytes = $name::kInputBytes + $target_bytes;
tfodl::StoreStatus status;

${engine_input}int32_t label_of(const void* target) {
  int32_t label;
  memcpy(&label, target, sizeof label);
  return label;
}

void train(void* target) { $name::train_step(label_of(target)); }
void end_epoch(void*) { status = $name::new_epoch(); }

}  // namespace

int main() {
  const uint32_t bytes = board_file_size("samples.bin"), area_bytes = board_file_size("area.bin");
  int8_t* sample = static_cast<int8_t*>(board_alloc(bytes));
  board_read("samples.bin", sample, bytes);
  uint8_t* memory = static_cast<uint8_t*>(board_alloc(area_bytes));
  board_read("area.bin", memory, area_bytes);
  tfodl::MemoryFlash area(memory, 4096, $name::kAreaPages);
  board_print_number("open status", static_cast<uint64_t>($name::open(area, memory)));
  for (int32_t i = 0; i < $steps; ++i, sample += kSampleBytes) {
    memcpy(engine_input(), sample, $name::kInputBytes);
    board_measure("train_step", train, sample + $name::kInputBytes);
    $name::remember(label_of(sample + $name::kInputBytes));
    if ((i + 1) % $every) continue;
    board_measure("new_epoch", end_epoch, nullptr);
    board_print_number("new_epoch status", static_cast<uint64_t>(status));
  }
  board_write("area.bin", memory, area_bytes);
  return 0;
}
