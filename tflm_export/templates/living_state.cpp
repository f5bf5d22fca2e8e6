
const tfodl::Parameter* state() {
  static const tfodl::Parameter table[kStates] = {
$state_table
  };
  return table;
}
