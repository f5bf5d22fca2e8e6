// First include of every file of float32 gradients: as hot.h, and a product is rounded before it is added (no fused
// multiply-add), so that every machine gives the same bits. On a Cortex-M4F that costs no time: VFMA takes 3 cycles,
// VMUL and VADD one each.
#pragma once
#include "tfodl/detail/hot.h"
#if defined(__clang__)
#pragma clang fp contract(off)
#elif defined(__GNUC__)
#pragma GCC optimize("fp-contract=off")
#endif
