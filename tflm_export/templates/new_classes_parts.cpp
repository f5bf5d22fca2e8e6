
int32_t old_classes;  // not opened since the reset, the power or a host brought them: their rows are learned
// The head, whose last rows wait for classes.
int32_t feature_sums[$features];
const tfodl::SpareHead head = {$weights, $bias, $features, $zero, kLogits, kSpareClasses, $unused, $logit, $logit_zero};

// What enters the head, of a latent.
const int8_t* features(const int8_t* latent) {
  $put_latent
  layers_above_cut();
  layers_to_output();
  return s8(at::$feature);
}

// Adds the margin of a sample by its latent and class, if it is of `label` or right.
void add_sample(int32_t label, const int8_t* latent, int32_t of, int32_t in_use, tfodl::Margins* margins) {
  int64_t margin;
  const int8_t* x = features(latent);
  const int32_t best = tfodl::best_other(head, label, x, s8(at::$logits_at), in_use, &margin);
  if (of == label || of == best) tfodl::add_margin(*margins, margin);
}

// The row of `label` from the latent `own`, or (null) from its samples in memory, against all others there; the
// arena holds the last picture's latent afterwards.
void imprint(int32_t label, const int8_t* own) {
  const int32_t in_use = classes();
  int32_t mine = 0;
  for (int32_t i = 0; i < counts.held; ++i) mine += labels[i] == label;
  const int32_t others = counts.held - mine, weight = others > 0 ? others : 1;
  if (own) mine = 1;
  if (mine == 0) return;
  memset(feature_sums, 0, sizeof feature_sums);
  if (own) tfodl::add_features(head, features(own), weight, feature_sums);
  for (int32_t i = 0; i < counts.held; ++i) {
    const int8_t* latent = $stored_i;
    if (labels[i] != label) tfodl::add_features(head, features(latent), -mine, feature_sums);
    else if (!own) tfodl::add_features(head, features(latent), weight, feature_sums);
  }
  tfodl::imprint_row(head, label, feature_sums, mine * weight, in_use);
  tfodl::Margins safe = {0, 0, 0}, level = {0, 0, 0};
  if (own) add_sample(label, own, label, in_use, &level);
  for (int32_t i = 0; i < counts.held; ++i) {
    const bool of_it = labels[i] == label;
    if (of_it && own) continue;
    add_sample(label, $stored_i, labels[i], in_use, of_it ? &level : &safe);
  }
  ${if_level}tfodl::imprint_bias(head, label, safe, level);
$into_good  memcpy(s8(at::$cut), last, kLatentBytes);
}

// Opens the next spare class when `label` is it, by the picture that was seen last.
void admit(int32_t label) {
  if (label == classes()) imprint(label, last);
}

// Whether a class that was spare has so few samples that its row is their mean.
bool is_young(int32_t label) { return label >= old_classes && offered[label] <= tfodl::kYoung; }

${is_first}// Makes the row of a young class anew, from its samples in memory.
void settle(int32_t label) {
  if (is_young(label)) imprint(label, nullptr);
}

$probability
$unlearned