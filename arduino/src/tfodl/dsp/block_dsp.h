// The inner loop that the matrix-like kernels share: blocks of 4 rows of weights times 2 pixels, two 16-bit products an
// instruction, everything widened to int16 beforehand.
//
// Layout of both operands: for each group of 4 along the depth k, {v[k], v[k+2]}, {v[k+1], v[k+3]} of the first row
// (pixel), then of the second, and so on: 8 bytes a row. That is what SXTB16 makes of 4 bytes.
//
// Of n pixels, pair i is pixel i and pixel i + n / 2: where n is odd the middle one is computed twice.
#ifndef TFODL_DSP_BLOCK_DSP_H
#define TFODL_DSP_BLOCK_DSP_H
#include "tfodl/dsp/dsp.h"

#if TFODL_DSP
// How a store ends: `y` is in r0, the end of the pixels in r4.
#define TFODL_NEXT_BLOCK         \
  "str r0, [sp, #56]\n"          \
  "cmp r1, r4\n"                 \
  "bne.w tfodl_block_next\n"
#define TFODL_RETURN             \
  "add sp, #120\n"               \
  "pop {r4-r11, pc}\n"

namespace tfodl {
namespace dsp {

constexpr int32_t kRows = 4;  // of a block
constexpr int32_t kTurn = 12;  // groups in the unrolled loop

inline int32_t groups_of_4(int32_t depth) { return (depth + 3) >> 2; }

using BlockStore = void (*)();  // jumped to, never called

extern "C" {
// For every pair of pixels from `pixels` on: the sums, then what the block's `store` does with them. `block` is one of
// the structs below. The result is that of tfodl_store_narrowed.
uint32_t tfodl_block(const void* block, const uint32_t* pixels);
void tfodl_block_more();  // the end of a turn that is not the last one

// Requantisation (right shifts 1..20) and saturation to int8: RequantBlock.
void tfodl_store_requantized();
// The same from weights and biases times 2^kReluBits, see relu_channel.
void tfodl_store_relu();
// The same where the rows have one right shift.
void tfodl_store_relu_alike();
// The same with clip masks, from plain weights: four bits are shifted into each byte from below: MaskedBlock.
void tfodl_store_masks();
// The same from weights and biases times 2^kReluBits.
void tfodl_store_relu_masks();
// The 8 sums of a block, two of each row: SumsBlock.
void tfodl_store_sums();
// The 8 sums added to int32 ones: AddBlock.
void tfodl_store_added();
// Rounded shift by 2 or more, saturation to +-32767: NarrowBlock. The result is the OR of all |sums|.
void tfodl_store_narrowed();
}

// The assembly's frame, with what the stores need behind it: keep order and size.
struct Block {
  const uint32_t* weights;      // where the first turn reads, less a word
  int32_t start[2 * kRows];     // first values of the sums: row 0 of both pixels, row 1, ...
  int32_t skip;                 // groups left out of the first turn
  BlockStore after, store;      // after a turn; after the last one
  const uint32_t *weights_end, *pixels_end;  // less a word

  // 4 rows of `groups` groups; `end` of the pixels. `start` is the caller's.
  void set(const uint32_t* rows, int32_t groups, const uint32_t* end, BlockStore way) {
    skip = kTurn - 1 - (groups - 1) % kTurn;
    weights = rows - 1 - 2 * kRows * (skip & 3);
    after = groups > kTurn ? tfodl_block_more : way;
    store = way;
    weights_end = rows + 2 * kRows * groups - 1;
    pixels_end = end - 1;
  }

  void store_by(BlockStore way) {
    if (after == store) after = way;
    store = way;
  }
};

struct Scaling {
  int32_t multiplier, right_shift, offset;  // offset = 2^(right_shift - 1) + (out_zero << right_shift)
};
struct RequantBlock : Block {
  int8_t* y;             // row 0 of the first pixel; the other rows are beside it
  int32_t distance;      // to the other pixel of a pair
  int32_t step;          // to the next pair
  Scaling rows[kRows];
  int32_t unused;
};
struct MaskedChannel;
struct MaskedBlock : Block {
  int8_t* y;
  int32_t distance, step;
  uint8_t* mask;         // the byte of the first pixel
  int32_t mask_distance, mask_step;
  const MaskedChannel* rows_end;
  int32_t spare[9];
};
struct SumsBlock : Block {
  int32_t* sums;
  int32_t unused[15];
};
struct NarrowBlock : Block {
  int16_t* y;            // in bytes:
  int32_t distance, step;
  int32_t fraction;      // 2^(32 - shift)
  int32_t minus_one;
  uint32_t bits;         // 0
  int32_t unused[10];
};
struct AddBlock : Block {
  int32_t* sums;         // as in NarrowBlock
  int32_t distance, step;
  int32_t unused[13];
};
static_assert(sizeof(RequantBlock) == 120 && sizeof(MaskedBlock) == 120 && sizeof(SumsBlock) == 120 && sizeof(AddBlock) == 120 &&
              sizeof(NarrowBlock) == 120, "the assembly copies 30 words");

}  // namespace dsp
}  // namespace tfodl
#endif

#endif  // TFODL_DSP_BLOCK_DSP_H
