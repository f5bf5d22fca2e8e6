
const tfodl::ImageTensor* image_tensors() {
  static const tfodl::ImageTensor table[kImageTensors] = {
$image_rows
  };
  return table;
}

tfodl::StoreStatus begin_image() {
  if (!ready) reset();
  if (!images.opened()) return tfodl::StoreStatus::kForeign;
  const tfodl::StoreStatus status = images.clear();
  if (status == tfodl::StoreStatus::kOk) reset();
  return status;
}

tfodl::StoreStatus put_image(int32_t tensor, uint32_t offset, const void* data, uint32_t n) {
  return images.put(image_tensors()[tensor].at + offset, data, n);
}

namespace {

// Where an image has a tensor that a host wrote.
bool is_tensor(uint32_t at) {
  for (int32_t i = 0; i < kImageTensors; ++i) {
    if (image_tensors()[i].at == at) return true;
  }
  return false;
}

// All else that an image holds, as it is in a first epoch.
tfodl::StoreStatus put_beginning() {
  tfodl::StoreStatus status = tfodl::StoreStatus::kOk;
$clear_padding  for (const Part& part : parts) {
    if (is_tensor(part.at)) continue;
    if (status == tfodl::StoreStatus::kOk) status = images.put(part.at, part.data, part.bytes);
  }
$put_measured  return status == tfodl::StoreStatus::kOk ? images.put($chosen_at, pool_chosen, sizeof pool_chosen) : status;
}

}  // namespace

tfodl::StoreStatus end_image(uint32_t crc) {
  if (tfodl::tensors_crc(images.written(), image_tensors(), kImageTensors) != crc) return tfodl::StoreStatus::kBadRecord;
  tfodl::StoreStatus status = put_beginning();
  if (status == tfodl::StoreStatus::kOk) status = images.seal(0);
  if (status == tfodl::StoreStatus::kOk) take_newest();
  return status;
}
