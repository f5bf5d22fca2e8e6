// Forward kernels: the fast path against the portable one on random layers. Prints "cases N", or the first
// case that differs and exits with 1.
static Buffer x_buffer, scratch, y_fast, y_plain, mask_fast, mask_plain;

using Kernel = void (*)(const void*, const int8_t*, int, int8_t*, int, int, int, uint8_t*, void*);

static void compare(const char* what, int index, const Conv& p, Kernel fast, Kernel plain, uint32_t scratch_bytes) {
  Random& r = random_source;
  const uint32_t outputs = static_cast<uint32_t>(p.out_h * p.out_w * p.out_c), bits = (outputs + 7) / 8;
  const int8_t* x = fill(r, reinterpret_cast<int8_t*>(x_buffer.data), p.in_h * p.in_w * p.in_c, -128, 127);
  const bool with_mask = r.one_in(2);
  const int from = r.one_in(3) ? r.below(p.out_h) : 0;
  const int to = r.one_in(3) ? r.between(from, p.out_h) : p.out_h;
  const int ring = r.one_in(3) && to > from ? r.between(1, p.out_h) : p.out_h;
  y_fast.clear(0, outputs), y_plain.clear(0, outputs), mask_fast.clear(0x5A, bits), mask_plain.clear(0x5A, bits);
  scratch.clear(0x77, scratch_bytes);
  fast(&p, x, p.in_h, reinterpret_cast<int8_t*>(y_fast.data), ring, from, to, with_mask ? mask_fast.data : nullptr,
       scratch.data);
  if (!scratch.intact(scratch_bytes)) fail("scratch", index, p);
  plain(&p, x, p.in_h, reinterpret_cast<int8_t*>(y_plain.data), ring, from, to,
        with_mask ? mask_plain.data : nullptr, scratch.data);
  for (uint32_t i = 0; i < outputs + 16; ++i) if (y_fast.data[i] != y_plain.data[i]) fail(what, index, p);
  for (uint32_t i = 0; i < bits + 16; ++i) if (mask_fast.data[i] != mask_plain.data[i]) fail("mask", index, p);
}

// Through the signature that the others have.
#define DENSE(which)                                                                                           \
  static void which##_dense(const void* p, const int8_t* x, int, int8_t* y, int, int, int, uint8_t* mask, void* s) { \
    which##_fully_connected(p, x, y, mask, s);                                                                 \
  }
DENSE(fast)
DENSE(plain)

static void dense_case(int index) {
  Conv p = random_layer(false, 1, random_source.between(1, 70), random_source.between(1, 23));
  p.in_h = p.in_w = p.out_h = p.out_w = p.stride_h = p.stride_w = 1;
  if (random_source.one_in(3)) train_rows(p);
  else if (random_source.one_in(3)) train_columns(p);
  compare("fully_connected", index, p, fast_dense, plain_dense,
          static_cast<uint32_t>(fully_connected_s8_scratch_bytes(p)));
}

static void all_cases() {
  make_layer_buffers();
  x_buffer = Buffer::make(kLarge);
  scratch = Buffer::make(kLarge), y_fast = Buffer::make(kLarge), y_plain = Buffer::make(kLarge);
  mask_fast = Buffer::make(kLarge), mask_plain = Buffer::make(kLarge);
  Random& r = random_source;
  for (int i = 0; i < CASES; ++i) {
    const int out_c = r.one_in(2) ? 8 * r.between(1, 3) : r.between(1, 18);  // masks in bytes, and others
    Conv p = random_layer(false, r.one_in(2) ? 1 : r.between(1, 5), r.between(1, 19), out_c);
    if (r.one_in(3)) train_rows(p);
    else if (r.one_in(3)) train_columns(p);
    compare("conv", i, p, fast_conv, plain_conv, static_cast<uint32_t>(conv_s8_scratch_bytes(p)));
    p = random_layer(true, r.between(1, 7), r.one_in(2) ? 8 * r.between(1, 3) : r.between(1, 19), 0);
    if (r.one_in(4)) bias[r.below(p.out_c)] = 1 << 29;
    compare("depthwise", i, p, fast_depthwise, plain_depthwise, static_cast<uint32_t>(depthwise_s8_scratch_bytes(p)));
  }
  for (int i = 0; i < CASES; ++i) dense_case(i);
  board_print_number("cases", CASES);
}
