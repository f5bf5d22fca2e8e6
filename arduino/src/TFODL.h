// Train int8 networks on a microcontroller. The kernels behind the engines that tflm-export generates.
#pragma once
#include "tfodl/kernels.h"
