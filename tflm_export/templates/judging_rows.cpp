
tfodl::Parameter chosen_rows();  // of the pool
void forget_chosen();            // what the optimizer remembers of them

// The trained tensors, then the pool's rows: copied to `good`, or exchanged with it.
template <void (*kMove)(const tfodl::Parameter*, int32_t, uint8_t*)>
void move_good() {
  const tfodl::Parameter rows = chosen_rows();
  kMove(parameters(), kParameters, good);
  kMove(&rows, 1, good + $at);
}
