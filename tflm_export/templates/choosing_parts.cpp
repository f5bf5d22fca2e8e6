

// Which channels learn: rows in the pool, their lists, the bits of those that are chosen.
alignas(4) uint8_t pool_bytes[$pool_room];
int16_t pool_listed[$most];
uint8_t pool_chosen[$chosen_bytes];
$norms${alive}
uint32_t epochs, last_end;
int32_t shallowest;
const uint8_t* source;  // the image that frozen rows are read from; null: as flashed

const uint8_t identity[8] = {$identity};
tfodl::Images images($image_bytes, identity);

const tfodl::Candidate candidates[kCandidates] = {
    // conv, weights, bias, resident, biases, slot, states, in an image, bytes, row, cost, weights and input, channels,
    // first, zero point, shift, positions, seen
$candidates
};

constexpr tfodl::ChannelPool pool = {
    candidates, kCandidates, kChannels, pool_bytes, kPoolBytes, pool_listed, pool_chosen, $norms_at, ${seed}u,
    tfodl::PoolRule::$rule, $fill, $batch, $momentum, $accumulator, $mu, $top,
};

// What else an image holds.
struct Part {
  void* data;
  uint32_t at, bytes;
};
const Part parts[] = {
$parts
};

// Where an epoch's end works in the arena.
namespace workspace {
$workspace
}  // namespace workspace

uint16_t* order() { return reinterpret_cast<uint16_t*>(arena + workspace::order); }

void load() {
  tfodl::pool_reads(pool, source);
  shallowest = tfodl::$load(pool);
$clear_norms$clear_alive$keep_loaded
}

void first_epoch() {
  epochs = last_end = 0;
  source = nullptr;
  tfodl::pool_copies(pool, nullptr);
$first_choice
  load();
}

${chosen_rows}void save_parts() {
  static const uint8_t kNone[4] = {};
$clear_padding  for (const Part& part : parts) {
    images.append(part.data, part.bytes);
    images.append(kNone, -part.bytes & 3);
  }
}
$measuring
