// Runs $name over samples.bin as life goes: learns, remembers, saves as actions.bin says, loses its power.
#include <string.h>

#include "$name.h"
#include "board.h"
#include "tfodl/detail/crc32.h"

${cut_flash}
namespace {

const int32_t kSampleBytes = $name::kInputBytes + $target_bytes;
const int32_t kNothing = -2;  // any other action saves; from 0 on it is when the power fails
uint16_t records[$name::kStoreRecords];

${engine_input}$parts
uint32_t fingerprint() {
  uint32_t crc = 0;
  for (int32_t i = 0; i < $name::kParameters; ++i) {
    crc = tfodl::crc32(crc, $name::parameters()[i].data, $name::parameters()[i].nbytes);
  }
$held  return crc;
}

struct Life {
  uint32_t saves, cuts, lost, committed;
};

void save(CutFlash& area, tfodl::Store& store, int32_t action, Life& life) {
  store.mount();
  area.left = action;
  const tfodl::StoreStatus status = $name::save(store);
  const uint32_t attempted = fingerprint();
  ++life.saves;
  if (action < 0) {
    life.lost += status != tfodl::StoreStatus::kOk;
    life.committed = attempted;
    return;
  }
  area.left = -1;  // the power is back
  $name::reset();
  $name::restore(store);
  const uint32_t found = fingerprint();
  ++life.cuts;
  life.lost += found != life.committed && found != attempted;
  life.committed = found;
}

}  // namespace

int main() {
  const uint32_t bytes = board_file_size("samples.bin");
  int8_t* sample = static_cast<int8_t*>(board_alloc(bytes));
  board_read("samples.bin", sample, bytes);
  const uint32_t action_bytes = board_file_size("actions.bin");
  int32_t* actions = static_cast<int32_t*>(board_alloc(action_bytes));
  board_read("actions.bin", actions, action_bytes);
  uint8_t* memory = static_cast<uint8_t*>(board_alloc($name::kStoreBytes));
  board_read("area.bin", memory, $name::kStoreBytes);
  CutFlash area(memory, $name::kStoreBytes / 4096);
  tfodl::Store store(area, $name::store_layout(), records);
  $name::restore(store);
  Life life = {0, 0, 0, fingerprint()};
  for (uint32_t i = 0; i < action_bytes / sizeof(int32_t); ++i, sample += kSampleBytes) {
    memcpy(engine_input(), sample, $name::kInputBytes);
    const int32_t label = label_of(sample + $name::kInputBytes);
    $name::train_step(label);
$count_room$remember
    if (actions[i] != kNothing) save(area, store, actions[i], life);
  }
  board_print_number("saves", life.saves);
  board_print_number("cuts", life.cuts);
  board_print_number("lost", life.lost);
  store.mount();
  board_print_number("erases", store.pages_opened());
  board_write("area.bin", memory, $name::kStoreBytes);
  write_weights();
  return 0;
}
