
// What the engine remembers: docs/living.md of tfodl. A latent is what enters $before ($shape): no step
// changes how a picture comes there, so that a latent never goes stale.
constexpr int32_t kLatentBytes = $latent_bytes;
constexpr int32_t kMemory = $samples;  // samples, $sample_bytes B each; $policy_text
constexpr int32_t kReplays = $replays;  // of them learnt again by train_step()
constexpr int32_t kExemplars = $exemplars;  // samples that came with the engine
constexpr int32_t kExemplarReplays = $exemplar_replays;  // of them learnt again by train_step()
$states_header
// The latent of the picture that infer(), predict() or train_step() saw last.
const int8_t* latent();  // [kLatentBytes]

// Offers that picture to the memory under its label; false for a label out of range or before the first picture,
// and then changes nothing.
bool remember(int32_t label);

// Samples in the memory.
int32_t remembered();
$samples_header
// One step on a sample of the memory (of the exemplars) at random; the loss before it, -1 when there is none.
float replay();
float replay_exemplar();
$state_header