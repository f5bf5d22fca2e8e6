// The pool: which channels of the candidate layers learn, chosen on the device. docs/choosing.md of tfodl.
#ifndef TFODL_POOL_POOL_H
#define TFODL_POOL_POOL_H
#include "tfodl/pool/images.h"
#include "tfodl/support.h"
#include "tfodl/types.h"

namespace tfodl {

// A candidate. Channels are its output channels, whose rows lie in the pool, or its input channels, and columns. They are
// counted through all candidates: `first` is the number of its first one.
struct Candidate {
  Conv* conv;              // in RAM: where its weights and biases are read changes
  const int8_t* weights;   // as flashed
  const int32_t* bias;     // as flashed
  int8_t* resident;        // depthwise: all weights, in RAM; null: rows or columns in the pool
  int32_t* biases;         // all biases, in RAM; null: it has none that train
  int16_t* slot;           // [channels] row in the pool, -1 in flash; null: resident, or columns
  UpdateState* rows;       // of its weights; its counts change
  UpdateState* row_biases;  // null: none
  uint32_t weights_at, bias_at;  // in an image
  int32_t weights_bytes;
  int32_t row;             // weights of a channel
  int32_t cost;            // bytes of a channel in the pool
  int32_t gradient_bytes;  // weights and the input they read
  int16_t channels, first;
  int16_t zero;            // zero point of its output
  int16_t positions_shift;  // bits that a sample's sums are moved right
  int32_t positions;       // of its output map
  int8_t* seen;            // where its output is kept while velocities are measured
};

enum class PoolRule : uint8_t { kVelocity, kRandom, kTopLayersRandom, kFixed };

// Constants of an engine.
struct ChannelPool {
  const Candidate* layers;
  int16_t count, channels;  // candidates, channels of all
  uint8_t* bytes;           // [size] rows and what the optimizer remembers
  int32_t size;             // what chosen channels may cost together
  int16_t* listed;          // [as many channels as may be chosen]
  uint8_t* chosen;          // [(channels + 7) / 8] bits
  float* norms;             // [count], for kTopLayersRandom only
  uint32_t seed;
  PoolRule rule;
  bool fill;                // go on behind a channel that does not fit
  bool batch, momentum, accumulator;
  float mu, top;
};

inline bool is_chosen(const uint8_t* chosen, int32_t i) { return (chosen[i >> 3] >> (i & 7)) & 1; }

// Whether the channels of these bits cost no more than the pool holds.
bool pool_holds(const ChannelPool& pool, const uint8_t* chosen);

// Where all candidates' frozen weights and biases are read: in an image, or null: as flashed. pool_measures: all of
// them, those that learn too.
void pool_reads(const ChannelPool& pool, const uint8_t* image);
void pool_measures(const ChannelPool& pool, const uint8_t* image);

// Whole tensors in RAM as that image has them.
void pool_copies(const ChannelPool& pool, const uint8_t* image);

// The chosen channels learn from now on: rows come from where pool_reads() said, optimizer state is zero. Returns the
// shallowest candidate that has one. pool_load_columns: of input channels.
int32_t pool_load(const ChannelPool& pool);
int32_t pool_load_columns(const ChannelPool& pool);

// The chosen rows or columns, one behind the other in the pool's bytes, behind what the optimizer remembers of what learns; and
// that starts at 0.
Parameter pool_rows(const ChannelPool& pool);
void pool_forgets(const ChannelPool& pool);

// Appends the candidates' tensors as they are now.
void pool_save(const ChannelPool& pool, Images& images);
void pool_save_columns(const ChannelPool& pool, Images& images);

// Adds a sample's sums of outputs now and before to sums [3][pool.channels].
void pool_compares(const ChannelPool& pool, int32_t layer, const int8_t* now, const int8_t* before, int32_t* sums);

// From those sums phi (in place of the first third) and v (of the second). phi_before, v_before: last epoch's; null: 1, 0.
void pool_velocities(const ChannelPool& pool, int32_t* sums, const float* phi_before, const float* v_before);

// Adds the squares of a candidate's output gradient.
void pool_notes(const ChannelPool& pool, int32_t layer, const int16_t* g, int16_t exponent, const uint8_t* mask, int32_t n);

// Marks a candidate's channels whose output has a gradient g [positions][channels] that passes the mask; and gives those
// that never had one, where others of their layer had, a score below 0. alive [(channels + 7) / 8] bits.
void pool_watches(const ChannelPool& pool, uint8_t* alive, int32_t layer, const int16_t* g, const uint8_t* mask);
void pool_skips_dead(const ChannelPool& pool, const uint8_t* alive, float* scores);

// scores [channels] by the pool's rule in the epoch that begins; a negative one is never chosen. v: velocities.
void pool_scores(const ChannelPool& pool, PoolRule rule, uint32_t epoch, const float* v, float* scores);

// The bits of those that the pool's bytes buy, highest score first, ties by number. order [channels] is scratch; chosen
// must not be pool.chosen where the scores are of kFixed.
void pool_spend(const ChannelPool& pool, const float* scores, uint16_t* order, uint8_t* chosen);

}  // namespace tfodl

#endif  // TFODL_POOL_POOL_H
