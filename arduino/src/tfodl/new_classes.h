// Spare outputs that become classes with their first sample. docs/living.md of tfodl.
#ifndef TFODL_NEW_CLASSES_H
#define TFODL_NEW_CLASSES_H
#include <stdint.h>

namespace tfodl {

// The classifier: weights [classes][features], bias [classes]; a spare row that no class took has the bias `unused`.
struct SpareHead {
  int8_t* weights;
  int32_t* bias;
  int32_t features, zero;  // zero point of the features
  int32_t classes, spare, unused;
  int32_t logit, logit_zero;  // 1/256 of the bias that moves a spare logit by 1 LSB; zero point of the logits
};

// How many classes are in use: the first ones.
int32_t classes_in_use(const SpareHead& head);

// Samples up to which a spare class's row is made of their mean.
constexpr uint32_t kYoung = 10;

// sums [features] += times * (x less its zero point).
void add_features(const SpareHead& head, const int8_t* x, int32_t times, int32_t* sums);

// Row `label` from `sums`, n times the features of m own samples less m times those of n others, with pairs = m n: the
// direction from the others' mean to its own, as long as the other rows in use are in the mean.
void imprint_row(const SpareHead& head, int32_t label, const int32_t* sums, int32_t pairs, int32_t in_use);

// By how much samples are safe from a new row without bias, in 64 units of it.
struct Margins {
  int64_t total;
  uint64_t squares;
  int32_t n;
};

// The best class but `label` of the logits [in_use] of a sample with features x, and in `margin` the bias with which row
// `label` would draw level with it.
int32_t best_other(const SpareHead& head, int32_t label, const int8_t* x, const int8_t* logits, int32_t in_use,
                   int64_t* margin);
void add_margin(Margins& margins, int64_t margin);

// The bias of row `label`: below the margins `safe` of other classes' samples by their mean less sqrt(3) standard
// deviations; with fewer than 2 of them on a level with its own samples, the mean of `level`.
void imprint_bias(const SpareHead& head, int32_t label, const Margins& safe, const Margins& level);

}  // namespace tfodl

#endif  // TFODL_NEW_CLASSES_H
