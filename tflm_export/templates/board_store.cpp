// Runs $name with its store on area.bin: `before` steps of samples.bin, save, start anew, restore, the other steps.
#include <string.h>

#include "$name.h"
#include "board.h"

namespace {

const int32_t kSampleBytes = $name::kInputBytes + $target_bytes;
int8_t* sample;
tfodl::Store* store;
uint16_t records[$name::kStoreRecords];
tfodl::StoreStatus status;

${engine_input}$parts
void restore(void*) { status = $name::restore(*store); }
void save(void*) { status = $name::save(*store); }

void train(int32_t steps) {
  for (; steps > 0; --steps, sample += kSampleBytes) {
    memcpy(engine_input(), sample, $name::kInputBytes);
    const void* target = sample + $name::kInputBytes;
    $name::train_step($target);
  }
}

void measure(const char* name, void (*function)(void*), void* argument) {
  board_measure(name, function, argument);
  board_print(name);
  board_print_number(" status", static_cast<uint64_t>(status));
}

}  // namespace

int main() {
  const uint32_t bytes = board_file_size("samples.bin");
  sample = static_cast<int8_t*>(board_alloc(bytes));
  board_read("samples.bin", sample, bytes);
  uint8_t* memory = static_cast<uint8_t*>(board_alloc($name::kStoreBytes));
  board_read("area.bin", memory, $name::kStoreBytes);
  tfodl::MemoryFlash flash(memory, 4096, $name::kStoreBytes / 4096);
  tfodl::Store records_of_flash(flash, $name::store_layout(), records);
  store = &records_of_flash;
  measure("restore", restore, nullptr);
  train($before);
  measure("save", save, nullptr);
  measure("save_nothing", save, nullptr);
  board_write("area.bin", memory, $name::kStoreBytes);
  train($after);  // lost
  sample -= $after * kSampleBytes;
  $name::reset();
  measure("restore_again", restore, nullptr);
  train($after);
  write_weights();
  return 0;
}
