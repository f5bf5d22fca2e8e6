
namespace {

// All that learning changes.
const tfodl::Kept kept[kStoreArrays] = {
    // data, base, rows, columns, count, columns here, columns of base, width, step
$kept
};

}  // namespace

const tfodl::StoreLayout& store_layout() {
  static const uint16_t first[kStoreArrays + 1] = {
$first
  };
  static const tfodl::StoreLayout layout = {{$identity}, first, kStoreArrays};
  return layout;
}

tfodl::StoreStatus save(tfodl::Store& store) {
  if (!ready) reset();
  return tfodl::save_kept(store, kept, kStoreArrays);
}

tfodl::StoreStatus restore(tfodl::Store& store) {
  reset();
  const tfodl::StoreStatus status = tfodl::restore_kept(store, kept, kStoreArrays);
  if (status != tfodl::StoreStatus::kOk) reset();$restored
  return status;
}
