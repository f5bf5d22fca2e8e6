

// The latent of the picture seen last; latents that are remembered, their labels, how many of a class were offered.
int8_t last[kLatentBytes];
bool seen = false;
${latents_array}int16_t labels[kMemory];
uint32_t offered[kLogits];
tfodl::ReplayCounts counts;

constexpr tfodl::ReplayBuffers memory = {
    $latents, labels, offered, kLatentBytes, kMemory, kLogits, ${seed}u, tfodl::ReplayPolicy::$policy,
};
${samples_declared}
// From the picture to its latent.
void layers_below_cut() {
$below
  memcpy(last, s8(at::$cut), kLatentBytes);
  seen = true;
}

// From the latent on, as far as training and inference run alike.
void layers_above_cut() {
$above
}