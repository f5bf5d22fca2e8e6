
bool epoch_is_over() { return kEpochSteps > 0 && ready && sgd.step - last_end >= kEpochSteps; }
uint32_t epoch() { return epochs; }
uint32_t step() { return sgd.step; }
const tfodl::ChannelPool& chosen() { return pool; }
tfodl::StoreStatus format() { return images.format(); }

namespace {

void take_newest() {
  source = images.newest();
  for (const Part& part : parts) memcpy(part.data, source + part.at, part.bytes);
  memcpy(pool_chosen, source + $chosen_at, sizeof pool_chosen);
  epochs = images.epoch();
  last_end = sgd.step;
  tfodl::pool_copies(pool, source);
  load();$opened
}

// The old epoch goes on though its rows' place was worked in: they are in flash already.
tfodl::StoreStatus go_on(tfodl::StoreStatus status) {
  tfodl::pool_reads(pool, images.written());
  tfodl::$load(pool);
  tfodl::pool_reads(pool, source);
  return status;
}

}  // namespace

tfodl::StoreStatus open(tfodl::FlashArea& area, const uint8_t* mapped) {
  reset();
  const tfodl::StoreStatus status = images.open(area, mapped);
  if (status != tfodl::StoreStatus::kOk) return status;
  if (!tfodl::pool_holds(pool, images.newest() + $chosen_at)) return tfodl::StoreStatus::kDamaged;
  take_newest();
  return status;
}

tfodl::StoreStatus new_epoch() {
  if (!ready) reset();
  if (!images.opened()) return tfodl::StoreStatus::kRefused;$judged
  tfodl::StoreStatus status = images.begin(arena + workspace::page);
  if (status != tfodl::StoreStatus::kOk) return status;
  tfodl::$save(pool, images);
  save_parts();
  status = images.flush();
  if (status != tfodl::StoreStatus::kOk) return status;
$measure
  uint8_t* const bits = arena + workspace::bits;
  tfodl::pool_scores(pool, pool.rule, epochs + 1, $velocity, $scores);
$skip_dead  tfodl::pool_spend(pool, $scores, order(), bits);
$save_measured
  images.append(bits, sizeof pool_chosen);
  status = images.commit(epochs + 1);
  if (status != tfodl::StoreStatus::kOk) return go_on(status);
  memcpy(pool_chosen, bits, sizeof pool_chosen);
  ++epochs;
  last_end = sgd.step;
  source = images.newest();
  load();
  return status;
}
