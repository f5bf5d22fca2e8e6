// $name for ctypes.
#include <string.h>

#include "$name.h"

namespace {

$engine_input
}  // namespace

extern "C" {
int8_t* shim_input() { return engine_input(); }
const int8_t* shim_output() { return $result; }
void shim_infer() { $run; }
void shim_reset_state() { $reset_state }
int32_t shim_predict() { return $predict; }
}
