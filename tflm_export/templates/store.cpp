
namespace {

// All that learning changes.
const tfodl::Kept kept[$kept_count] = {
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
  return $save_kept;
}

tfodl::StoreStatus restore(tfodl::Store& store) {
  reset();
  ${constant}tfodl::StoreStatus status = $restore_kept;
$check  if (status != tfodl::StoreStatus::kOk) reset();$restored
  return status;
}
