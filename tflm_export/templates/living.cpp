
// One step on a latent that was stored.
float learn_again(const int8_t* stored, int32_t label) {
  const int32_t before = guessed;
  $put_stored
  const float loss = learn(label);
  guessed = before;
  return loss;
}

}  // namespace

const int8_t* latent() { return last; }
int32_t remembered() { return counts.held; }$changes_left

bool remember(int32_t label) {
  if (label < 0 || label >= kLogits || !seen$label_limit) return false;$offer_judge$admit
$keep_sample$settle
  return true;
}

float replay() {
  if (!ready) reset();
  const int32_t place = tfodl::$draw;
$replay_place
}

float replay_exemplar() {
$replay_exemplar
}
$judge
float train_step(int32_t label) {
  if (label < 0 || label >= kLogits$label_limit) return -1.0f;
  if (!ready) reset();
  layers_below_cut();$hold_out$admit$is_young
  const float loss = learn(label);
  for (int32_t i = 0; i < kReplays; ++i) replay();
  for (int32_t i = 0; i < kExemplarReplays; ++i) replay_exemplar();$step_done
  return loss;
}
$state