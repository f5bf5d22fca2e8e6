#include "tfodl/pool/pool.h"

#include "tfodl/detail/cold.h"
#include "tfodl/forward.h"

namespace tfodl {
namespace {

const int8_t* weights_of(const Candidate& c, const uint8_t* image) {
  return image ? reinterpret_cast<const int8_t*>(image + c.weights_at) : c.weights;
}

const int32_t* bias_of(const Candidate& c, const uint8_t* image) {
  return image && c.biases ? reinterpret_cast<const int32_t*>(image + c.bias_at) : c.bias;
}

// A part of the pool's bytes for n values; 4-byte ones are carved first, so that all are aligned.
template <class T>
T* carve(uint8_t*& at, int32_t n) {
  T* const part = reinterpret_cast<T*>(at);
  at += n * static_cast<int32_t>(sizeof(T));
  return part;
}

// Of a pool of rows or of columns. An engine has one of the two, and so what they share once.
enum class Axis : uint8_t { kRows, kColumns };
#define TFODL_IN_EACH __attribute__((always_inline)) inline

TFODL_IN_EACH void list_channels(const ChannelPool& pool) {
  int16_t* listed = pool.listed;
  for (int32_t i = 0; i < pool.count; ++i) {
    const Candidate& c = pool.layers[i];
    c.rows->channels = listed;
    c.rows->n = 0;
    for (int16_t k = 0; k < c.channels; ++k) {
      const bool learns = is_chosen(pool.chosen, c.first + k);
      if (c.slot) c.slot[k] = learns ? c.rows->n : int16_t{-1};
      if (!learns) continue;
      *listed++ = k;
      ++c.rows->n;
    }
    if (c.row_biases) {
      c.row_biases->channels = c.rows->channels;
      c.row_biases->n = c.rows->n;
    }
  }
}

TFODL_IN_EACH void carve_states(const ChannelPool& pool, uint8_t*& at) {
  for (int32_t i = 0; i < pool.count; ++i) {
    const Candidate& c = pool.layers[i];
    const int32_t n = c.rows->n, weights = n * c.row;
    if (pool.batch) c.rows->batch = carve<int32_t>(at, weights);
    if (pool.momentum) c.rows->momentum = carve<int32_t>(at, weights);
    if (!c.row_biases) continue;
    if (pool.batch) c.row_biases->batch = carve<int32_t>(at, n);
    if (pool.momentum) c.row_biases->momentum = carve<int32_t>(at, n);
  }
  for (int32_t i = 0; pool.accumulator && i < pool.count; ++i) {
    const Candidate& c = pool.layers[i];
    c.rows->accumulator = carve<int16_t>(at, c.rows->n * c.row);
  }
}

void carve_rows(const ChannelPool& pool, uint8_t*& at) {
  for (int32_t i = 0; i < pool.count; ++i) {
    const Candidate& c = pool.layers[i];
    if (c.resident) continue;
    c.conv->trained = carve<int8_t>(at, c.rows->n * c.row);
    for (int32_t r = 0; r < c.rows->n; ++r) {
      memcpy(c.conv->trained + r * c.row, c.conv->weights + c.rows->channels[r] * c.row, static_cast<size_t>(c.row));
    }
  }
}

void carve_columns(const ChannelPool& pool, uint8_t*& at) {
  for (int32_t i = 0; i < pool.count; ++i) {
    const Candidate& c = pool.layers[i];
    if (c.resident) continue;
    const int16_t n = c.rows->n;
    c.conv->columns = n > 0 ? c.rows->channels : nullptr;
    c.conv->n_columns = n;
    c.conv->trained = carve<int8_t>(at, n * c.row);
    gather_channels_s8(c.conv->weights, c.row, c.channels, c.rows->channels, n, c.conv->trained);
  }
}

template <Axis kAxis>
int32_t load(const ChannelPool& pool) {
  list_channels(pool);
  memset(pool.bytes, 0, static_cast<size_t>(pool.size));
  uint8_t* at = pool.bytes;
  carve_states(pool, at);
  kAxis == Axis::kRows ? carve_rows(pool, at) : carve_columns(pool, at);
  int32_t shallowest = 0;
  while (shallowest < pool.count && pool.layers[shallowest].rows->n == 0) ++shallowest;
  return shallowest;
}

void append_rows(const Candidate& c, Images& images) {
  for (int32_t k = 0; k < c.channels; ++k) {
    const bool learns = c.slot[k] >= 0;
    const int8_t* row = learns ? c.conv->trained + c.slot[k] * c.row : c.conv->weights + k * c.row;
    images.append(row, static_cast<uint32_t>(c.row));
  }
}

void append_columns(const Candidate& c, Images& images) {
  const int8_t *frozen = c.conv->weights, *learned = c.conv->trained;
  for (int32_t i = 0; i < c.row; ++i, frozen += c.channels) {
    int32_t from = 0;
    for (int32_t j = 0; j < c.rows->n; ++j) {
      const int32_t column = c.rows->channels[j];
      images.append(frozen + from, static_cast<uint32_t>(column - from));
      images.append(learned++, 1);
      from = column + 1;
    }
    images.append(frozen + from, static_cast<uint32_t>(c.channels - from));
  }
}

template <Axis kAxis>
void save(const ChannelPool& pool, Images& images) {
  static const uint8_t kNone[4] = {};
  for (int32_t i = 0; i < pool.count; ++i) {
    const Candidate& c = pool.layers[i];
    if (c.resident) {
      images.append(c.resident, static_cast<uint32_t>(c.weights_bytes));
    } else {
      kAxis == Axis::kRows ? append_rows(c, images) : append_columns(c, images);
    }
    images.append(kNone, static_cast<uint32_t>(-c.weights_bytes & 3));
    if (c.biases) images.append(c.biases, 4 * static_cast<uint32_t>(c.channels));
  }
}

}  // namespace

bool pool_holds(const ChannelPool& pool, const uint8_t* chosen) {
  int32_t left = pool.size;
  for (int32_t i = 0; i < pool.count; ++i) {
    const Candidate& c = pool.layers[i];
    for (int32_t k = 0; k < c.channels && left >= 0; ++k) left -= is_chosen(chosen, c.first + k) ? c.cost : 0;
  }
  return left >= 0;
}

void pool_reads(const ChannelPool& pool, const uint8_t* image) {
  for (int32_t i = 0; i < pool.count; ++i) {
    const Candidate& c = pool.layers[i];
    c.conv->weights = c.resident ? c.resident : weights_of(c, image);
    c.conv->bias = c.biases ? c.biases : c.bias;
    c.conv->slot = c.slot;
  }
}

void pool_measures(const ChannelPool& pool, const uint8_t* image) {
  for (int32_t i = 0; i < pool.count; ++i) {
    const Candidate& c = pool.layers[i];
    c.conv->weights = weights_of(c, image);
    c.conv->bias = bias_of(c, image);
    c.conv->slot = nullptr;
  }
}

void pool_copies(const ChannelPool& pool, const uint8_t* image) {
  for (int32_t i = 0; i < pool.count; ++i) {
    const Candidate& c = pool.layers[i];
    if (c.resident) memcpy(c.resident, weights_of(c, image), static_cast<size_t>(c.weights_bytes));
    if (c.biases) memcpy(c.biases, bias_of(c, image), sizeof(int32_t) * static_cast<size_t>(c.channels));
  }
}

int32_t pool_load(const ChannelPool& pool) { return load<Axis::kRows>(pool); }
int32_t pool_load_columns(const ChannelPool& pool) { return load<Axis::kColumns>(pool); }

Parameter pool_rows(const ChannelPool& pool) {
  void* data = nullptr;
  uint32_t nbytes = 0;
  for (int32_t i = 0; i < pool.count; ++i) {
    const Candidate& c = pool.layers[i];
    if (c.resident) continue;
    if (!data) data = c.conv->trained;
    nbytes += static_cast<uint32_t>(c.rows->n * c.row);
  }
  return {"pool", data, nbytes & 0x7fffffffU, 0};
}

void pool_forgets(const ChannelPool& pool) {
  const uint8_t* const end = static_cast<const uint8_t*>(pool_rows(pool).data);
  memset(pool.bytes, 0, static_cast<size_t>(end ? end - pool.bytes : pool.size));
}

void pool_save(const ChannelPool& pool, Images& images) { save<Axis::kRows>(pool, images); }
void pool_save_columns(const ChannelPool& pool, Images& images) { save<Axis::kColumns>(pool, images); }

}  // namespace tfodl
