
extern "C" {
const int8_t* shim_logits() { return $name::logits(); }
float shim_train_label(int32_t label) { return $train_label; }
float shim_train_target(const int8_t* target) { return $train_target; }
void shim_set_learning_rate(float rate) { $name::set_learning_rate(rate); }
void shim_reset() { $name::reset(); }
int32_t shim_parameters() { return $name::kParameters; }
void* shim_parameter(int32_t i) { return $name::parameters()[i].data; }
uint32_t shim_parameter_bytes(int32_t i) { return $name::parameters()[i].nbytes; }
}
