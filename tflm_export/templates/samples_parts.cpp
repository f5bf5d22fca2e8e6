

// Where in the store every sample is, the judges' behind the memory's: docs/store.md of tfodl, "Samples".
uint8_t slots[$places], saved_slots[$places];
constexpr tfodl::SampleLayout sample_layout = {slots, saved_slots, kLatentBytes, $places, $changes, kStoreArrays - 1};
tfodl::Samples samples(sample_layout);
const tfodl::SampleMemory memory_samples = {memory, counts, 0};
${judge_memory}
// Reads the latent at a place into the arena. Where flash has lost it, all are forgotten.
const int8_t* stored(int32_t place) {
  if (!samples.read(static_cast<uint16_t>(place), s8(at::$cut))) {
    counts.held = 0;$judges_lost
    samples.forget();
  }
  return s8(at::$cut);
}

bool samples_are_whole() {
  return tfodl::is_whole(samples, memory_samples, $known)$judges_whole;
}
