
namespace {

// Flash whose power may fail: after `left` operations nothing is written any more; the one at the cut is half done.
class CutFlash : public tfodl::FlashArea {
 public:
  CutFlash(uint8_t* memory, uint8_t page_count, uint32_t page_size = 4096, uint8_t write_size = 4)
      : FlashArea(page_size, page_count, write_size, 1), memory_(memory) {}
  void read(uint32_t at, void* data, uint32_t n) const override { memcpy(data, memory_ + at, n); }
  void write(uint32_t at, const void* data, uint32_t n) override {
    n = allowed(n);
    for (uint32_t i = 0; i < n; ++i) memory_[at + i] &= static_cast<const uint8_t*>(data)[i];
  }
  void erase_slice(uint8_t page) override {
    memset(memory_ + page * page_bytes, 0xFF, allowed(page_bytes));
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

}  // namespace
