// The probability of `label` for a latent, Q30; the logits stay.
uint32_t probability(const int8_t* latent, int32_t label) {
  $put_latent
  layers_above_cut();
  layers_to_output();
  return tfodl::label_probability(judge_exp, s8(at::$logits_at), kLogits, label);
}
