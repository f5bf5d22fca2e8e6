
// Knowing when not to learn: one picture in kHeldOut is never learned from; remember() keeps it to judge by. Every
// kJudgeEvery steps (0: never) train_step() calls judge(), which keeps what was learned if the judges' labels became
// more probable, else goes back (false) to the last state that was good. Call it before you rely on the net.
constexpr int32_t kJudges = $judges;  // pictures at most, $sample_bytes B each
constexpr uint32_t kHeldOut = $held_out, kJudgeEvery = $every;
bool judge();
int32_t judging();  // pictures that judge
