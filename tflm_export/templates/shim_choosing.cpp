
namespace {

// Flash whose power may fail: after `left` operations nothing is written any more; the one at the cut is half done.
class CutFlash : public tfodl::FlashArea {
 public:
  CutFlash(uint8_t* memory, uint8_t page_count) : FlashArea(4096, page_count, 4, 1), memory_(memory) {}
  void read(uint32_t at, void* data, uint32_t n) const override { memcpy(data, memory_ + at, n); }
  void write(uint32_t at, const void* data, uint32_t n) override {
    n = allowed(n);
    for (uint32_t i = 0; i < n; ++i) memory_[at + i] &= static_cast<const uint8_t*>(data)[i];
  }
  void erase_slice(uint8_t page) override {
    memset(memory_ + uint32_t{page} * page_bytes, 0xFF, allowed(page_bytes));
    ++erased;
  }
  int32_t left = -1;
  uint32_t done = 0, erased = 0;

 private:
  uint32_t allowed(uint32_t n) {
    ++done;
    if (left < 0) return n;
    if (left == 0) return 0;
    return --left == 0 ? n / 2 : n;
  }
  uint8_t* memory_;
};

alignas(8) uint8_t area_memory[$name::kAreaPages * 4096];
CutFlash area(area_memory, $name::kAreaPages);

}  // namespace

extern "C" {
void* shim_area() { return area_memory; }
int32_t shim_area_bytes() { return sizeof area_memory; }
int32_t shim_open() { return static_cast<int32_t>($name::open(area, area_memory)); }
int32_t shim_new_epoch() { return static_cast<int32_t>($name::new_epoch()); }
int32_t shim_format() { return static_cast<int32_t>($name::format()); }
bool shim_epoch_is_over() { return $name::epoch_is_over(); }
uint32_t shim_epoch() { return $name::epoch(); }
uint32_t shim_step() { return $name::step(); }
void shim_cut_after(int32_t operations) { area.left = operations; }
uint32_t shim_operations() { return area.done; }
uint32_t shim_erases() { return area.erased; }
bool shim_is_chosen(int32_t channel) { return tfodl::is_chosen($name::chosen().chosen, channel); }
const int8_t* shim_row(int32_t layer, int32_t channel) {
  const tfodl::Candidate& c = $name::chosen().layers[layer];
  return c.slot[channel] < 0 ? c.conv->weights + channel * c.row : c.conv->trained + c.slot[channel] * c.row;
}
}
