
// Which channels learn, chosen here: docs/choosing.md of tfodl.
constexpr int32_t kCandidates = $count;  // layers of which $axis channels may learn
constexpr int32_t kChannels = $channels;  // of all of them
constexpr int32_t kPoolBytes = $pool_bytes;  // that channels which learn take at a time
constexpr int32_t kEpochSteps = $epoch_steps;  // 0: an epoch ends on command only
constexpr int32_t kMeasured = $held_out;  // samples of the memory on which velocity is measured, never replayed
constexpr int32_t kAreaPages = $area_pages;  // of $page_bytes B: the flash area, two images

// Finds the newest image in a flash area of kAreaPages pages, whose first byte is at `mapped`, and goes on from there:
// weights, optimizer, what learns. kEmpty: there was none, and the engine is as it was flashed.
tfodl::StoreStatus open(tfodl::FlashArea& area, const uint8_t* mapped);

// Commits what was learned to flash, measures, chooses anew. All or nothing: after a power cut at any moment open() finds
// the last epoch, and after anything but kOk the old one goes on (kWriteFailed: perhaps with the optimizer's state of
// what learns at zero). Uses the arena: fill input() again.
tfodl::StoreStatus new_epoch();

// Whether kEpochSteps went by since the last epoch's end.
bool epoch_is_over();
uint32_t epoch();  // 0 is the first
uint32_t step();   // training steps so far

// An area without images; the engine itself stays as it is.
tfodl::StoreStatus format();

// The candidates and the bits of their $axis channels that learn.
const tfodl::ChannelPool& chosen();

// The trained tensors that a host writes: parameters(), and behind them those of which $axis channels are in the pool.
constexpr int32_t kImageTensors = $image_tensors;
const tfodl::ImageTensor* image_tensors();

// Other weights, of all tensors, in place of what was learned. begin_image() makes room, and the engine is as it was
// flashed; put_image() takes bytes of a tensor in any order, each once, from a multiple of 4 on and, but at the tensor's
// end, a multiple of 4 of them: weights of -127..127 and biases within 2^30. end_image() begins a first epoch with them
// where `crc` is theirs, one behind the other, else (kBadRecord) does nothing. Do not learn before. After a power cut at
// any moment before the last write open() finds the last epoch.
tfodl::StoreStatus begin_image();
tfodl::StoreStatus put_image(int32_t tensor, uint32_t offset, const void* data, uint32_t n);
tfodl::StoreStatus end_image(uint32_t crc);
