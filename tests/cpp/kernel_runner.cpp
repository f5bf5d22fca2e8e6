// Calls kernels on arguments from standard input, results to standard output, until the input ends.
// A call: length and text of the kernel's name, then its arguments (wire.h). An answer: the return value,
// every GradScale, every buffer.
#include <string>

#include "wire.h"

using namespace tfodl;

namespace {

// Read<T>: one argument of type T. Fields are read in the order of the struct.
template <class T>
struct Read {
  static T from(Call&) { return static_cast<T>(receive_int()); }
};

template <>
struct Read<float> {
  static float from(Call&) { return receive_float(); }
};

template <class T>
struct Read<T*> {
  static T* from(Call& call) { return static_cast<T*>(receive_pointer(call)); }
};

template <class T>
void field(Call& call, T& out) {
  out = Read<T>::from(call);
}

template <class... T>
void fields(Call& call, T&... out) {
  const int order[] = {(field(call, out), 0)...};
  static_cast<void>(order);
}

template <>
struct Read<Conv> {
  static Conv from(Call& call) {
    Conv p;
    fields(call, p.in_h, p.in_w, p.in_c, p.out_h, p.out_w, p.out_c, p.k_h, p.k_w, p.stride_h, p.stride_w);
    fields(call, p.pad_top, p.pad_left, p.in_zero, p.out_zero, p.act_min, p.act_max, p.weights, p.bias);
    fields(call, p.multiplier, p.shift, p.slot, p.trained, p.columns, p.n_columns);
    return p;
  }
};

template <>
struct Read<ConvGrad> {
  static ConvGrad from(Call& call) {
    ConvGrad q;
    fields(call, q.scale, q.exponent, q.headroom);
    return q;
  }
};

template <>
struct Read<GradScale> {
  static GradScale from(Call& call) {
    GradScale s;
    fields(call, s.exponent, s.shift);
    return s;
  }
};

template <>
struct Read<Reconstruction> {
  static Reconstruction from(Call& call) {
    Reconstruction p;
    fields(call, p.factor, p.exponent, p.y_zero, p.x_zero, p.ratio, p.shift);
    return p;
  }
};

template <>
struct Read<Sgd> {
  static Sgd from(Call& call) {
    Sgd s;
    fields(call, s.learning_rate, s.seed, s.step, s.momentum, s.rounding, s.apply);
    return s;
  }
};

template <>
struct Read<UpdateState> {
  static UpdateState from(Call& call) {
    UpdateState s;
    fields(call, s.scale, s.batch, s.momentum, s.accumulator, s.tensor, s.channels, s.n);
    return s;
  }
};

template <>
struct Read<Add> {
  static Add from(Call& call) {
    Add p;
    fields(call, p.a_zero, p.b_zero, p.out_zero, p.act_min, p.act_max, p.a_multiplier, p.b_multiplier);
    fields(call, p.out_multiplier, p.a_shift, p.b_shift, p.out_shift);
    return p;
  }
};

template <>
struct Read<Requantize> {
  static Requantize from(Call& call) {
    Requantize p;
    fields(call, p.in_zero, p.b_zero, p.out_zero, p.act_min, p.act_max, p.multiplier, p.shift);
    return p;
  }
};

template <>
struct Read<Pool> {
  static Pool from(Call& call) {
    Pool p;
    fields(call, p.in_h, p.in_w, p.channels, p.out_h, p.out_w, p.k_h, p.k_w, p.stride_h, p.stride_w);
    fields(call, p.pad_top, p.pad_left, p.act_min, p.act_max);
    return p;
  }
};

template <>
struct Read<Pad> {
  static Pad from(Call& call) {
    Pad p;
    fields(call, p.in_h, p.in_w, p.in_c, p.out_h, p.out_w, p.out_c, p.top, p.left, p.front, p.value);
    return p;
  }
};

template <>
struct Read<Spread> {
  static Spread from(Call& call) {
    Spread s;
    fields(call, s.repeat, s.size);
    return s;
  }
};

template <>
struct Read<Reduce> {
  static Reduce from(Call& call) {
    Reduce r;
    fields(call, r.outer, r.first, r.middle, r.second, r.inner);
    return r;
  }
};

template <class Map>
Map read_rows(Call& call) {
  Map m;
  fields(call, m.data, m.rows);
  return m;
}

template <>
struct Read<Rows> {
  static Rows from(Call& call) { return read_rows<Rows>(call); }
};

template <>
struct Read<ConstRows> {
  static ConstRows from(Call& call) { return read_rows<ConstRows>(call); }
};

// An argument as it waits for the call: references become values.
template <class T>
using Held = typename std::remove_cv<typename std::remove_reference<T>::type>::type;

void note(Call& call, GradScale& s) { call.scales.push_back(&s); }

template <class T>
void note(Call&, T&) {}

template <class R, class Invoke>
void invoke_and_send(Call&, Invoke invoke, std::false_type) {
  send_int(static_cast<int64_t>(invoke()));
}

template <class R, class Invoke>
void invoke_and_send(Call&, Invoke invoke, std::true_type) {
  invoke();
  send_int(0);  // an answer begins with the return value even where there is none
}

template <class R, class... A, size_t... I>
void call_with(R (*kernel)(A...), std::index_sequence<I...>) {
  Call call;
  std::tuple<Held<A>...> held{Read<Held<A>>::from(call)...};
  const int noted[] = {0, (note(call, std::get<I>(held)), 0)...};
  static_cast<void>(noted);
  invoke_and_send<R>(call, [&] { return kernel(std::get<I>(held)...); }, std::is_void<R>());
  send_back(call);
}

template <class R, class... A>
void call(R (*kernel)(A...)) {
  call_with(kernel, std::index_sequence_for<A...>());
}

// A chain: number of stages, the stages, x, whether there is a residual, the residual, scratch.
void call_stream() {
  Call call;
  const size_t n = static_cast<size_t>(receive_int());
  std::vector<Conv> convs(n);
  std::vector<Stage> stages(n);
  for (size_t i = 0; i < n; ++i) {
    Stage& s = stages[i];
    field(call, s.kind);
    convs[i] = Read<Conv>::from(call);
    s.conv = &convs[i];
    s.ring = Read<Rows>::from(call);
    fields(call, s.step, s.mask, s.saved, s.channels, s.n_saved);
  }
  const int8_t* x = Read<const int8_t*>::from(call);
  Add add;
  Residual residual = {&add, nullptr, nullptr, nullptr};
  const bool added = receive_int() != 0;
  if (added) {
    add = Read<Add>::from(call);
    fields(call, residual.skip, residual.y, residual.mask);
  }
  void* scratch = receive_pointer(call);
  stream_s8(stages.data(), static_cast<int32_t>(n), x, added ? &residual : nullptr, scratch);
  send_int(0);
  send_back(call);
}

#define KERNEL(name) \
  if (kernel == #name) return call(name), true

bool forward_call(const std::string& kernel) {
  KERNEL(conv_s8_scratch_bytes);
  KERNEL(conv_s8);
  KERNEL(conv_rows_s8);
  KERNEL(pointwise_s8_scratch_bytes);
  KERNEL(pointwise_s8);
  KERNEL(pointwise_rows_s8);
  KERNEL(fully_connected_s8_scratch_bytes);
  KERNEL(fully_connected_s8);
  KERNEL(depthwise_s8_scratch_bytes);
  KERNEL(depthwise_s8);
  KERNEL(depthwise_rows_s8);
  KERNEL(add_s8);
  KERNEL(add_range_s8);
  KERNEL(sub_s8);
  KERNEL(mul_s8);
  KERNEL(add_broadcast_s8);
  KERNEL(sub_broadcast_s8);
  KERNEL(mul_broadcast_s8);
  KERNEL(minimum_s8);
  KERNEL(maximum_s8);
  KERNEL(repeat_s8);
  KERNEL(requantize_s8);
  KERNEL(relu_s8);
  KERNEL(lookup_s8);
  KERNEL(logistic_s8);
  KERNEL(softmax_s8);
  KERNEL(log_softmax_s8);
  KERNEL(mean_s8);
  KERNEL(average_pool_s8);
  KERNEL(max_pool_s8);
  KERNEL(pad_s8);
  KERNEL(concatenation_s8);
  KERNEL(gather_channels_s8);
  return false;
}

bool gradient_call(const std::string& kernel) {
  KERNEL(softmax_cross_entropy_s8);
  KERNEL(mean_squared_error_s8);
  KERNEL(binary_cross_entropy_s8);
  KERNEL(reconstruction_error_s8);
  KERNEL(reconstruction_squares_s8);
  KERNEL(reconstruction_error_coarse_s8);
  KERNEL(reconstruction_squares_coarse_s8);
  KERNEL(conv_input_grad_s16_scratch_bytes);
  KERNEL(conv_input_grad_s16);
  KERNEL(pointwise_input_grad_s16_scratch_bytes);
  KERNEL(pointwise_input_grad_s16);
  KERNEL(fully_connected_input_grad_s16_scratch_bytes);
  KERNEL(fully_connected_input_grad_s16);
  KERNEL(depthwise_input_grad_s16_scratch_bytes);
  KERNEL(depthwise_input_grad_s16);
  KERNEL(add_grads_s16);
  KERNEL(mask_grad_s16);
  KERNEL(negate_grad_s16);
  KERNEL(mul_input_grad_s16);
  KERNEL(mul_broadcast_input_grad_s16);
  KERNEL(sum_grad_s16);
  KERNEL(extremum_input_grad_s16);
  KERNEL(lookup_input_grad_s16);
  KERNEL(logistic_input_grad_s16);
  KERNEL(mean_input_grad_s16);
  KERNEL(average_pool_input_grad_s16);
  KERNEL(max_pool_input_grad_s16);
  KERNEL(pad_input_grad_s16);
  KERNEL(concatenation_input_grad_s16);
  return false;
}

bool update_call(const std::string& kernel) {
  KERNEL(conv_weights_update_s8_scratch_bytes);
  KERNEL(conv_weights_update_s8);
  KERNEL(conv_columns_update_s8_scratch_bytes);
  KERNEL(conv_columns_update_s8);
  KERNEL(fully_connected_weights_update_s8);
  KERNEL(depthwise_weights_update_s8_scratch_bytes);
  KERNEL(depthwise_weights_update_s8);
  KERNEL(bias_update_s32);
  return false;
}

bool float_call(const std::string& kernel) {
  KERNEL(softmax_cross_entropy_f32);
  KERNEL(mean_squared_error_f32);
  KERNEL(binary_cross_entropy_f32);
  KERNEL(reconstruction_error_f32);
  KERNEL(conv_input_grad_f32_scratch_bytes);
  KERNEL(conv_input_grad_f32);
  KERNEL(depthwise_input_grad_f32_scratch_bytes);
  KERNEL(depthwise_input_grad_f32);
  KERNEL(add_grads_f32);
  KERNEL(mask_grad_f32);
  KERNEL(negate_grad_f32);
  KERNEL(mul_input_grad_f32);
  KERNEL(sum_grad_f32);
  KERNEL(extremum_input_grad_f32);
  KERNEL(lookup_input_grad_f32);
  KERNEL(logistic_input_grad_f32);
  KERNEL(mean_input_grad_f32);
  KERNEL(average_pool_input_grad_f32);
  KERNEL(max_pool_input_grad_f32);
  KERNEL(pad_input_grad_f32);
  KERNEL(concatenation_input_grad_f32);
  KERNEL(conv_weights_update_f32);
  KERNEL(conv_columns_update_f32);
  KERNEL(depthwise_weights_update_f32);
  KERNEL(bias_update_f32);
  return false;
}

}  // namespace

int main() {
  for (;;) {
    std::string kernel(static_cast<size_t>(receive_int()), ' ');
    receive(&kernel[0], kernel.size());
    if (kernel == "stream_s8") {
      call_stream();
    } else if (!forward_call(kernel) && !gradient_call(kernel) && !update_call(kernel) &&
               !float_call(kernel)) {
      fprintf(stderr, "no kernel %s\n", kernel.c_str());
      return 1;
    }
    fflush(stdout);
  }
}
