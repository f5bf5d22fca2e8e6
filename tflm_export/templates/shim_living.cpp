
extern "C" {
const int8_t* shim_latent() { return $name::latent(); }
bool shim_remember(int32_t label) { return $name::remember(label); }
int32_t shim_remembered() { return $name::remembered(); }
float shim_replay() { return $name::replay(); }
float shim_replay_exemplar() { return $name::replay_exemplar(); }
}
