
// Knowing when not to learn: one picture in kHeldOut is never learned from; remember() keeps it to judge by. Every
// kJudgeEvery steps (0: never) train_step() compares the state with the last good one by what they give the judges'
// labels: one that is clearly better becomes the good one, from one that is clearly worse the engine goes back.
// judge() goes back (false) unless the state is better: call it before you rely on the net.
constexpr int32_t kJudges = $judges;  // pictures at most, $sample_bytes B each
constexpr uint32_t kHeldOut = $held_out, kJudgeEvery = $every;
bool judge();
int32_t judging();  // pictures that judge
