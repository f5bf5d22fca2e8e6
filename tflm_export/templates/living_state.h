
// All that learning changes, parameters and memory too, to be saved and restored as plain bytes; call reset() or
// infer() once before.
const tfodl::Parameter* state();  // [kStates]
