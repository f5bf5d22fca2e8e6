// $name for ctypes.
#include "$name.h"

extern "C" {
int8_t* shim_input() { return $name::input(); }
const int8_t* shim_output() { return $name::output(); }
void shim_infer() { $name::infer(); }
int32_t shim_predict() { return $name::predict(); }
}
