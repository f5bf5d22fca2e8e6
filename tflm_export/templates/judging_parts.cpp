

// Pictures that judge, and the last state of the trained tensors that they found good.
int8_t judge_latents[kJudges * kLatentBytes];
int16_t judge_labels[kJudges];
uint32_t judge_offered[kLogits];
tfodl::ReplayCounts judge_counts;
uint8_t good[$good_bytes];
uint32_t steps_judged;  // training steps since the last judgement

constexpr tfodl::ReplayBuffers judges = {
    judge_latents, judge_labels, judge_offered, kLatentBytes, kJudges, kLogits, ${seed}u,
    tfodl::ReplayPolicy::kBalanced,
};

// The state as it is becomes the good one.
void keep() { tfodl::copy_parameters(parameters(), kParameters, good); }

// What inference alone runs.
void layers_to_output() {
$rest
}

// The probability of `label` for a latent, Q30; the logits stay.
uint32_t probability(const int8_t* latent, int32_t label) {
  memcpy(s8(at::$cut), latent, kLatentBytes);
  layers_above_cut();
  layers_to_output();
  return tfodl::label_probability(judge_exp, s8(at::$logits_at), kLogits, label);
}

// The sum of the judges' probabilities.
uint64_t score() {
  uint64_t sum = 0;
  for (int32_t i = 0; i < judge_counts.held; ++i) {
    sum += probability(tfodl::stored_latent(judge_latents, kLatentBytes, i), judge_labels[i]);
  }
$exemplar_score  return sum;
}

// The optimizer's momentum and sums start at 0.
void forget_steps() {
$forget_steps
}
