// The guard: pictures that are never learned judge what was learned. docs/living.md of tfodl.
#ifndef TFODL_JUDGE_H
#define TFODL_JUDGE_H
#include "tfodl/support.h"

namespace tfodl {

// Whether the picture with this latent judges, and teaches nothing: one in `one_in`, by its CRC-32, always the same.
bool is_held_out(const int8_t* latent, int32_t latent_bytes, uint32_t one_in);

// Probability of `label` under the softmax of logits q [n], Q30. table [256]: round(2^24 exp(-s k)).
uint32_t label_probability(const uint32_t* table, const int8_t* q, int32_t n, int32_t label);

// The trained tensors, one behind the other: copied to `good`, or exchanged with it.
void copy_parameters(const Parameter* parameters, int32_t n, uint8_t* good);
void swap_parameters(const Parameter* parameters, int32_t n, uint8_t* good);

}  // namespace tfodl

#endif  // TFODL_JUDGE_H
