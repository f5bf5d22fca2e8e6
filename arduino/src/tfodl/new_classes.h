// Spare outputs that become classes with their first sample. docs/living.md of tfodl.
#pragma once
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

// sums [features] += x less its zero point.
void add_features(const SpareHead& head, const int8_t* x, int32_t* sums);

// Row `label` from the features x of its first sample, given the sums over n other samples: the direction from their
// mean to x, as long as the rows before it are in the mean; the bias makes its logit on x the best of `logits` [label].
void imprint_class(const SpareHead& head, int32_t label, const int8_t* x, const int8_t* logits, const int32_t* sums,
                   int32_t n);

}  // namespace tfodl
