// $name for ctypes.
#include <string.h>

#include "$name.h"

namespace {

$engine_input
}  // namespace

extern "C" {
int8_t* shim_input() { return engine_input(); }
const int8_t* shim_output() { return $name::output(); }
void shim_infer() { $name::infer(); }
int32_t shim_predict() { return $predict; }
}
