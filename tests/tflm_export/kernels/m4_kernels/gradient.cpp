// Input gradients and dense updates: the fast path against the portable one on random layers; gradients twice
// each, so that the shift rule settles. Prints "cases N", or the first case that differs and exits with 1.
static Buffer g_buffer, mask_buffer, scratch, x_fast, x_plain;
static int16_t scale[512];

using Kernel = void (*)(const void*, const void*, const int16_t*, int, const uint8_t*, int16_t*, void*, void*);

static void compare(const char* what, int index, const Conv& p, Kernel fast, Kernel plain, int32_t scratch_bytes) {
  Random& r = random_source;
  const int outputs = p.out_h * p.out_w * p.out_c;
  const uint32_t bytes = 2u * static_cast<uint32_t>(p.in_h * p.in_w * p.in_c);
  const int range = r.one_in(3) ? 40 : r.one_in(2) ? 3000 : 32767;
  const int16_t* g = fill(r, reinterpret_cast<int16_t*>(g_buffer.data), outputs, -range, range);
  fill(r, mask_buffer.data, (outputs + 7) / 8, 0, 255);
  const uint8_t* mask = r.one_in(2) ? mask_buffer.data : nullptr;
  fill(r, scale, p.out_c, 1000, 32767);
  const ConvGrad q = {scale, -7, static_cast<int8_t>(r.below(3))};
  GradScale s_fast = {0, static_cast<int8_t>(r.below(14))}, s_plain = s_fast;
  for (int step = 0; step < 2; ++step) {
    x_fast.clear(1, bytes), x_plain.clear(2, bytes), scratch.clear(0x77, static_cast<uint32_t>(scratch_bytes));
    fast(&p, &q, g, 5, mask, reinterpret_cast<int16_t*>(x_fast.data), &s_fast, scratch.data);
    if (!scratch.intact(static_cast<uint32_t>(scratch_bytes))) fail("scratch", index, p);
    plain(&p, &q, g, 5, mask, reinterpret_cast<int16_t*>(x_plain.data), &s_plain, scratch.data);
    if (s_fast.shift != s_plain.shift || s_fast.exponent != s_plain.exponent) fail("shift", index, p);
    for (uint32_t i = 0; i < bytes + 16; ++i) if (x_fast.data[i] != x_plain.data[i]) fail(what, index, p);
  }
}

// Stochastic steps of a dense layer, from far too small to beyond every weight.
static void dense_update_case(int index) {
  Random& r = random_source;
  Conv p = random_layer(false, 1, r.between(1, 70), r.between(1, 20));
  p.in_h = p.in_w = p.out_h = p.out_w = p.k_h = p.k_w = 1;
  const int n = p.in_c * p.out_c;
  static float rates[32];
  for (int co = 0; co < p.out_c; ++co) rates[co] = 1.0f + static_cast<float>(r.below(100));
  const int8_t* x = fill(r, reinterpret_cast<int8_t*>(g_buffer.data), p.in_c, -128, 127);
  int16_t* g = fill(r, scale, p.out_c, -32767, 32767);
  const Sgd sgd = {0.01f, r.next(), r.next(), 0, Rounding::kStochastic, true};
  const UpdateState state = {rates, nullptr, nullptr, nullptr, 7, nullptr, p.out_c};
  x_fast.clear(0, static_cast<uint32_t>(n)), x_plain.clear(0, static_cast<uint32_t>(n));
  int8_t* fast = fill(r, reinterpret_cast<int8_t*>(x_fast.data), n, -127, 127);
  int8_t* plain = reinterpret_cast<int8_t*>(x_plain.data);
  for (int i = 0; i < n; ++i) plain[i] = fast[i];
  const int exponent = r.between(-40, -8);
  fast_dense_update(&p, x, g, exponent, &sgd, &state, fast);
  plain_dense_update(&p, x, g, exponent, &sgd, &state, plain);
  for (int i = 0; i < n + 16; ++i) if (x_fast.data[i] != x_plain.data[i]) fail("dense_update", index, p);
}

static void all_cases() {
  make_layer_buffers();
  g_buffer = Buffer::make(kLarge), mask_buffer = Buffer::make(kLarge), scratch = Buffer::make(kLarge);
  x_fast = Buffer::make(kLarge), x_plain = Buffer::make(kLarge);
  Random& r = random_source;
  for (int i = 0; i < CASES; ++i) {
    const int out_c = r.one_in(2) ? 8 * r.between(1, 4) : r.between(1, 35);  // masks in whole bytes, and others
    Conv p = random_layer(false, 1, r.between(1, 19), out_c);
    p.stride_h = p.stride_w = 1, p.in_h = p.out_h, p.in_w = p.out_w;
    if (r.one_in(3)) train_rows(p);
    else if (r.one_in(3)) train_columns(p);
    compare("pointwise_grad", i, p, fast_pointwise_grad, plain_pointwise_grad,
            pointwise_input_grad_s16_scratch_bytes(p));
    p = random_layer(true, r.between(1, 7), r.one_in(2) ? 8 * r.between(1, 3) : r.between(1, 19), 0);
    compare("depthwise_grad", i, p, fast_depthwise_grad, plain_depthwise_grad,
            depthwise_input_grad_s16_scratch_bytes(p));
  }
  for (int i = 0; i < CASES; ++i) dense_update_case(i);
  board_print_number("cases", CASES);
}
