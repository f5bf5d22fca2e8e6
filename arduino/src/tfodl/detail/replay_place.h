// Where a replay memory puts a sample. Internal, for two files.
#ifndef TFODL_DETAIL_REPLAY_PLACE_H
#define TFODL_DETAIL_REPLAY_PLACE_H
#include "tfodl/detail/update_step.h"
#include "tfodl/replay.h"

namespace tfodl {
namespace {

// Identities for the random numbers.
constexpr uint32_t kAccept = 0xffff0001U, kPlace = 0xffff0002U, kDraw = 0xffff0003U, kShow = 0xffff0103U,
                   kPick = 0xffff0104U;

// A whole number in [0, n).
int32_t random_below(uint32_t seed, uint32_t counter, uint32_t purpose, uint32_t n) {
  const uint32_t r = mix(mix(seed + 0x9e3779b9U * counter) ^ (0x85ebca6bU * purpose));
  return static_cast<int32_t>((uint64_t{r} * n) >> 32);
}

// Samples of a class among the first `held`.
int32_t held_of(const ReplayBuffers& m, int32_t held, int32_t label) {
  int32_t count = 0;
  for (int32_t i = 0; i < held; ++i) count += m.labels[i] == label;
  return count;
}

// The class that a full memory holds most samples of, the first of several.
int32_t largest_class(const ReplayBuffers& m) {
  int32_t best = 0, most = 0;
  for (int32_t label = 0; label < m.classes; ++label) {
    const int32_t count = held_of(m, m.capacity, label);
    if (count > most) most = count, best = label;
  }
  return best;
}

// Place of the nth sample of a class.
int32_t nth_of(const ReplayBuffers& m, int32_t label, int32_t nth) {
  int32_t place = 0;
  while (m.labels[place] != label || nth-- > 0) ++place;
  return place;
}

int32_t balanced_place(const ReplayBuffers& m, uint32_t total, int32_t label) {
  int32_t victim = largest_class(m);
  const int32_t most = held_of(m, m.capacity, victim);
  if (held_of(m, m.capacity, label) == most) {
    victim = label;
    if (random_below(m.seed, total, kAccept, m.offered[label]) >= most) return -1;
  }
  return nth_of(m, victim, random_below(m.seed, total, kPlace, static_cast<uint32_t>(most)));
}

// Where the sample goes; -1 for nowhere.
int32_t place_of(const ReplayBuffers& m, const ReplayCounts& counts, int32_t label) {
  if (counts.held < m.capacity) return counts.held;
  if (m.policy == ReplayPolicy::kBalanced) return balanced_place(m, counts.total, label);
  const int32_t place = random_below(m.seed, counts.total, kAccept, counts.total);
  return place < m.capacity ? place : -1;
}

}  // namespace
}  // namespace tfodl

#endif  // TFODL_DETAIL_REPLAY_PLACE_H
