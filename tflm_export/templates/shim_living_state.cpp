
extern "C" {
int32_t shim_states() { return $name::kStates; }
void* shim_state(int32_t i) { return $name::state()[i].data; }
uint32_t shim_state_bytes(int32_t i) { return $name::state()[i].nbytes; }
}
