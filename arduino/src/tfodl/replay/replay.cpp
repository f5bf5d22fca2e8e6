#include "tfodl/replay.h"

#include <string.h>

#include "tfodl/detail/replay_place.h"

namespace tfodl {

void replay_remember(const ReplayBuffers& m, ReplayCounts& counts, const int8_t* latent, int32_t label) {
  ++m.offered[label];
  ++counts.total;
  const int32_t place = place_of(m, counts, label);
  if (place < 0) return;
  memcpy(m.latents + place * m.latent_bytes, latent, static_cast<size_t>(m.latent_bytes));
  m.labels[place] = static_cast<int16_t>(label);
  if (place == counts.held) ++counts.held;
}

int32_t replay_draw(const ReplayBuffers& m, ReplayCounts& counts) {
  if (counts.held == 0) return -1;
  return random_below(m.seed, counts.draws++, kDraw, static_cast<uint32_t>(counts.held));
}

int32_t replay_draw_behind(const ReplayBuffers& m, ReplayCounts& counts, int32_t held_out) {
  if (counts.held <= held_out) return -1;
  return held_out + random_below(m.seed, counts.draws++, kDraw, static_cast<uint32_t>(counts.held - held_out));
}

int32_t replay_draw_by_class(const ReplayBuffers& m, ReplayCounts& counts) {
  int32_t classes = 0;
  for (int32_t label = 0; label < m.classes; ++label) classes += held_of(m, counts.held, label) > 0;
  if (classes == 0) return -1;
  int32_t nth = random_below(m.seed, counts.draws, kPick, static_cast<uint32_t>(classes)), label = 0;
  while (held_of(m, counts.held, label) == 0 || nth-- > 0) ++label;
  const uint32_t held = static_cast<uint32_t>(held_of(m, counts.held, label));
  return nth_of(m, label, random_below(m.seed, counts.draws++, kDraw, held));
}

int32_t replay_draw_by_class_behind(const ReplayBuffers& m, ReplayCounts& counts, int32_t held_out) {
  ReplayBuffers behind = m;
  behind.labels += held_out;
  ReplayCounts theirs = counts;
  theirs.held -= held_out;
  const int32_t place = replay_draw_by_class(behind, theirs);
  counts.draws = theirs.draws;
  return place < 0 ? -1 : held_out + place;
}

int32_t exemplar_draw(uint32_t seed, int32_t n, ReplayCounts& counts) {
  return random_below(seed, counts.shown++, kShow, static_cast<uint32_t>(n));
}

}  // namespace tfodl
