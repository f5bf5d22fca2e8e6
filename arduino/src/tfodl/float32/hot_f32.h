// First include of every file of float32 gradients: as hot.h, without fused multiply-adds. On a Cortex-M4F that costs
// no time: VFMA takes 3 cycles, VMUL and VADD one each.
#ifndef TFODL_FLOAT32_HOT_F32_H
#define TFODL_FLOAT32_HOT_F32_H
#include "tfodl/detail/hot.h"
#include "tfodl/detail/no_fma.h"

#endif  // TFODL_FLOAT32_HOT_F32_H
