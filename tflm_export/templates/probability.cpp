// The probability of `label` for a latent, Q30; the logits stay.
uint32_t probability(const int8_t* latent, int32_t label) {
  memcpy(s8(at::$cut), latent, kLatentBytes);
  layers_above_cut();
  layers_to_output();
  return tfodl::label_probability(judge_exp, s8(at::$logits_at), kLogits, label);
}
