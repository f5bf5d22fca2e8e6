
namespace measuring {

namespace at {
$offsets
}  // namespace at

$checks

int32_t* sums() { return reinterpret_cast<int32_t*>(arena + workspace::sums); }

// A candidate's output: kept with today's weights, compared with last epoch's.
void watch(int32_t layer, const int8_t* y, bool today) {
  const tfodl::Candidate& c = candidates[layer];
  if (today) {
    memcpy(c.seen, y, static_cast<size_t>(c.positions * c.channels));
  } else {
    tfodl::pool_compares(pool, layer, c.seen, y, sums());
  }
}

void layers(bool today) {
$layers
}

// Phi and velocity in place of the sums.
void run() {
  memset(sums(), 0, 12 * kChannels);
  const int32_t n = counts.held < kMeasured ? counts.held : kMeasured;
  for (int32_t i = 0; i < 2 * n; ++i) {
    const bool today = i % 2 == 0;
    tfodl::pool_measures(pool, today ? images.written() : source);
    memcpy(s8(at::x), tfodl::stored_latent(latents, kLatentBytes, i / 2), kLatentBytes);
    layers(today);
  }
  tfodl::pool_reads(pool, source);
  const float* before = source ? reinterpret_cast<const float*>(source + $measured) : nullptr;
  tfodl::pool_velocities(pool, sums(), before, before ? before + kChannels : nullptr);
}

}  // namespace measuring
