// The replay memory: latents of samples that were seen, with their labels. docs/living.md of tfodl.
#ifndef TFODL_REPLAY_H
#define TFODL_REPLAY_H
#include <stdint.h>

namespace tfodl {

enum class ReplayPolicy : uint8_t {
  kReservoir,  // every sample that was offered stays with the same probability
  kBalanced,   // every class keeps as many samples as the others, where there are as many
};

// Buffers of the engine; all plain bytes, to be saved and restored with ReplayCounts.
struct ReplayBuffers {
  int8_t* latents;    // [capacity][latent_bytes]
  int16_t* labels;    // [capacity]
  uint32_t* offered;  // [classes] samples offered so far
  int32_t latent_bytes, capacity, classes;
  uint32_t seed;
  ReplayPolicy policy;
};

struct ReplayCounts {
  uint32_t total;  // samples offered so far
  uint32_t draws;  // samples drawn so far from the memory
  uint32_t shown;  // and from the exemplars
  int32_t held;    // samples in the memory
};

// Offers a sample; what a full memory does with it is the policy's. 0 <= label < classes.
void replay_remember(const ReplayBuffers& memory, ReplayCounts& counts, const int8_t* latent, int32_t label);

// The place of a sample at random, every one alike; -1 when there is none.
int32_t replay_draw(const ReplayBuffers& memory, ReplayCounts& counts);

// The same of the samples behind the first `held_out`, which are never drawn.
int32_t replay_draw_behind(const ReplayBuffers& memory, ReplayCounts& counts, int32_t held_out);

// The place of a sample of a class at random, every class that is held alike; -1 when there is none.
int32_t replay_draw_by_class(const ReplayBuffers& memory, ReplayCounts& counts);
int32_t replay_draw_by_class_behind(const ReplayBuffers& memory, ReplayCounts& counts, int32_t held_out);

// The same of n >= 1 samples that were shipped.
int32_t exemplar_draw(uint32_t seed, int32_t n, ReplayCounts& counts);

// Where the latent at `place` starts.
inline const int8_t* stored_latent(const int8_t* latents, int32_t latent_bytes, int32_t place) {
  return latents + place * latent_bytes;
}

}  // namespace tfodl

#endif  // TFODL_REPLAY_H
