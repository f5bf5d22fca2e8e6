

// Pictures that judge, and the last state of the trained tensors that they found good.
${judge_latents_array}int16_t judge_labels[kJudges];
uint32_t judge_offered[kLogits];
tfodl::ReplayCounts judge_counts;
uint8_t good[$good_bytes];
uint16_t judge_now[kJudges];  // what they give their labels, Q15
uint32_t steps_judged;  // training steps since the last judgement

constexpr tfodl::ReplayBuffers judges = {
    $judge_latents, judge_labels, judge_offered, kLatentBytes, kJudges, kLogits, ${seed}u,
    tfodl::ReplayPolicy::kBalanced,
};

${chosen_rows}// The state as it is becomes the good one.
$keep

$probability
// What judge i gives its label, Q15.
uint16_t verdict(int32_t i) {
  const int8_t* latent = $judge_i;
  return static_cast<uint16_t>(probability(latent, judge_labels[i]) >> 15);
}

// Whether the picture seen last judges already: it counts once, however often it comes.
bool judges_already() {
  for (int32_t i = 0; i < judge_counts.held; ++i) {
    const int8_t* latent = $judge_i;
    if (memcmp(latent, last, kLatentBytes) == 0) return true;
  }
  return false;
}

// The optimizer's momentum and sums start at 0.
void forget_steps() {
$forget_steps
}

// Compares the state with the good one by how much more the judges' labels got, d, with e = sqrt(sum(d^2)). Above 2 e
// the state becomes the good one; below -e that comes back, false. Finally e is the limit of both.
bool judged(bool final) {
  steps_judged = 0;
  const int32_t n = judge_counts.held;
  if (n == 0) return true;
  for (int32_t i = 0; i < n; ++i) judge_now[i] = verdict(i);
  $swap
  int64_t total = 0, noise = 0;
  for (int32_t i = 0; i < n; ++i) {
    const int64_t d = judge_now[i] - verdict(i);
    total += d;
    noise += d * d;
  }
  const int64_t squared = total * total;
  const bool beyond = squared > noise;
  if (final ? !(total > 0 && beyond) : total < 0 && beyond) {
    keep();
    forget_steps();
    return false;
  }
  $swap
  if (final || (total > 0 && squared > 4 * noise)) keep();
  return true;
}
