
// The engine, as the serial protocol drives it.
inline const Learner& learner() {
  static const uint8_t kEngineId[8] = {$engine_id};
  static const char kAbout[] =
$about;
  static const ServedCommand kCommands[] = {
$rows
  };
  static const Learner kLearner = {
      net::input,       net::kInputBytes,  net::kInputScale,       net::kInputZero,
      $predict, net::output,       net::kOutputs,          net::kOutputScale,
      net::kOutputZero, kTargetBytes,      train_from_bytes,       $guess,
      $epoch_is_over,          net::set_learning_rate,
      net::reset,       net::parameters,   net::kParameters,       count,
      kEngineId,        kAbout,            sizeof kAbout - 1,      kCommands,
      sizeof kCommands / sizeof *kCommands,$hooks
  };
  return kLearner;
}
