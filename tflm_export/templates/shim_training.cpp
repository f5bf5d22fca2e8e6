
extern "C" {
const int8_t* shim_logits() { return $name::logits(); }
float shim_train_label(int32_t label) { return $train_label; }
float shim_train_target(const int8_t* target) { return $train_target; }
float shim_score() { return $score; }
bool shim_set_learning_rate(float rate) { return $name::set_learning_rate(rate); }
float shim_saturated_share() { return tfodl::saturated_share($name::parameters(), $name::kParameters); }
void shim_reset() { $name::reset(); }
int32_t shim_parameters() { return $name::kParameters; }
void* shim_parameter(int32_t i) { return $name::parameters()[i].data; }
uint32_t shim_parameter_bytes(int32_t i) { return $name::parameters()[i].nbytes; }
}
