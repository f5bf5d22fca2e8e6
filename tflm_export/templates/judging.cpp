
bool judge() {
  if (!ready) reset();
  return judged(true);
}

int32_t judging() { return judge_counts.held; }

namespace {

void step_done() {
  if (++steps_judged == kJudgeEvery) judged(false);
}

$unlearned
}  // namespace
