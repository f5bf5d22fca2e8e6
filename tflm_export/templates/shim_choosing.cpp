
namespace {

alignas(8) uint8_t area_memory[$name::kAreaPages * 4096];
CutFlash area(area_memory, $name::kAreaPages);

}  // namespace

extern "C" {
void* shim_area() { return area_memory; }
int32_t shim_area_bytes() { return sizeof area_memory; }
int32_t shim_open() { return static_cast<int32_t>($name::open(area, area_memory)); }
int32_t shim_new_epoch() { return static_cast<int32_t>($name::new_epoch()); }
int32_t shim_begin_image() { return static_cast<int32_t>($name::begin_image()); }
int32_t shim_put_image(int32_t tensor, uint32_t offset, const void* data, uint32_t n) {
  return static_cast<int32_t>($name::put_image(tensor, offset, data, n));
}
int32_t shim_end_image(uint32_t crc) { return static_cast<int32_t>($name::end_image(crc)); }
int32_t shim_format() { return static_cast<int32_t>($name::format()); }
bool shim_epoch_is_over() { return $name::epoch_is_over(); }
uint32_t shim_epoch() { return $name::epoch(); }
uint32_t shim_step() { return $name::step(); }
void shim_cut_after(int32_t operations) { area.left = operations; }
uint32_t shim_operations() { return area.done; }
uint32_t shim_erases() { return area.erased; }
bool shim_is_chosen(int32_t channel) { return tfodl::is_chosen($name::chosen().chosen, channel); }
const int8_t* shim_frozen(int32_t layer) { return $name::chosen().layers[layer].conv->weights; }
const int8_t* shim_learning(int32_t layer) { return $name::chosen().layers[layer].conv->trained; }
}
