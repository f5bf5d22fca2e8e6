// Every kernel. The contract that all of them keep:
//
//   - names are op_dtype (forward, int8), op_input_grad_s16 (gradients, int16) and
//     op_weights_update_s8 / bias_update_s32 (gradient and update in one); the same from float32 gradients are
//     op_input_grad_f32, op_weights_update_f32, bias_update_f32;
//   - maps are NHWC with N = 1, weights [out_c][k_h][k_w][in_c], depthwise [k_h][k_w][channels];
//   - the caller owns every buffer; inputs and outputs do not overlap unless the kernel says so;
//   - `scratch` is aligned to 8 bytes and holds ..._scratch_bytes(...) bytes, declared beside the kernel;
//     where that is 0 it may be null. Nothing in it outlives the call;
//   - `mask` is one bit an output element, (flat index & 7) of byte (flat index >> 3); null: not wanted
//     (forward: not written; gradient: every bit counts as set);
//   - the numbers that come out are those of docs/arithmetic.md, on every machine, floats too;
//   - arguments are checked when the engine is generated, not here.
#ifndef TFODL_KERNELS_H
#define TFODL_KERNELS_H
#include "tfodl/forward.h"
#include "tfodl/gradient.h"
#include "tfodl/gradient_f32.h"
#include "tfodl/judge.h"
#include "tfodl/new_classes.h"
#include "tfodl/recurrent.h"
#include "tfodl/replay.h"
#include "tfodl/slices.h"
#include "tfodl/stream.h"
#include "tfodl/support.h"
#include "tfodl/update.h"

#endif  // TFODL_KERNELS_H
