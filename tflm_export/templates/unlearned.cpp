// The loss of a picture that is not learned from.
float unlearned(int32_t label) {
  const float loss = tfodl::cross_entropy(probability(last, label));
  guessed = tfodl::argmax_s8(s8(at::$logits_at), kLogits);$step_done
  return loss;
}
