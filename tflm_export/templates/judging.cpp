
bool judge() {
  if (!ready) reset();
  steps_judged = 0;
  if (judge_counts.held$and_exemplars == 0) return true;
  const uint64_t now = score();
  tfodl::swap_parameters(parameters(), kParameters, good);
  const bool better = now > score();
  if (better) {
    tfodl::swap_parameters(parameters(), kParameters, good);
  } else {
    forget_steps();
  }
  keep();
  return better;
}

int32_t judging() { return judge_counts.held; }

namespace {

void step_done() {
  if (++steps_judged == kJudgeEvery) judge();
}

// The loss of a picture that is not learned from.
float unlearned(int32_t label) {
  const float loss = tfodl::cross_entropy(probability(last, label));
  guessed = tfodl::argmax_s8(s8(at::$logits_at), kLogits);
  step_done();
  return loss;
}

}  // namespace
