// Runs $name with its store on area.bin: `before` steps of samples.bin, save, start anew, restore, the other steps.
#include <string.h>

#include "$name.h"
#include "board.h"

namespace {

const int32_t kSampleBytes = $name::kInputBytes + $target_bytes;
int8_t* sample;
tfodl::FlashArea* area;
uint16_t records[$name::kStoreRecords];
tfodl::StoreStatus status;

${engine_input}$parts
// A store that knows nothing yet, as after a start.
void restore(void*) {
  tfodl::Store store(*area, $name::store_layout(), records);
  status = $name::restore(store);
}

void save(void* store) { status = $name::save(*static_cast<tfodl::Store*>(store)); }

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
  area = &flash;
  measure("restore", restore, nullptr);
  train($before);
  tfodl::Store store(flash, $name::store_layout(), records);
  measure("save", save, &store);
  measure("save_nothing", save, &store);
  board_write("area.bin", memory, $name::kStoreBytes);
  train($after);  // lost
  sample -= $after * kSampleBytes;
  $name::reset();
  measure("restore_again", restore, nullptr);
  train($after);
  write_weights();
  return 0;
}
