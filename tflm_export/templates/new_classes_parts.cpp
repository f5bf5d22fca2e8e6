

// The head, whose last rows wait for classes.
int32_t feature_sums[$features];
const tfodl::SpareHead head = {$weights, $bias, $features, $zero, kLogits, kSpareClasses, $unused, $logit, $logit_zero};

// What enters the head, of a latent.
const int8_t* features(const int8_t* latent) {
  memcpy(s8(at::$cut), latent, kLatentBytes);
  layers_above_cut();
  layers_to_output();
  return s8(at::$feature);
}

// Opens the next spare class when `label` is it, by the picture that was seen last.
void admit(int32_t label) {
  if (label != classes()) return;
  memset(feature_sums, 0, sizeof feature_sums);
  for (int32_t i = 0; i < counts.held; ++i) {
    tfodl::add_features(head, features(tfodl::stored_latent(latents, kLatentBytes, i)), feature_sums);
  }
  tfodl::imprint_class(head, label, features(last), s8(at::$logits_at), feature_sums, counts.held);
$into_good  memcpy(s8(at::$cut), last, kLatentBytes);
}
