// Tests of the store that take one process each: store_host everywhere|random|hostile|full|image|packed SEED COUNT
// [PAGE PAGES UNIT SLICES].
// Prints "name value" lines; a wrong state is a non-zero exit status.
#include <stdio.h>
#include <stdlib.h>

#include <algorithm>
#include <memory>
#include <vector>

#include "store_cases.h"
#include "tfodl/detail/crc32.h"
#include "tfodl/store/kept.h"

using tfodl::Store;
using tfodl::StoreStatus;

namespace {

struct Geometry {
  uint32_t page_bytes;
  uint8_t pages, write_bytes, slices;
};

void require(bool ok, const char* what) {
  if (ok) return;
  fprintf(stderr, "FAILED %s\n", what);
  exit(1);
}

void print(const char* name, uint64_t value) {
  printf("%s %llu\n", name, static_cast<unsigned long long>(value));
}

void write_file(const char* name, const void* data, size_t bytes) {
  FILE* file = fopen(name, "wb");
  require(file && fwrite(data, 1, bytes, file) == bytes && fclose(file) == 0, name);
}

struct PowerCut {};

// Loses power after a number of operations.
class CutFlash : public Flash {
 public:
  using Flash::Flash;

  void before_operation(uint8_t page, uint32_t at, const uint8_t* unit) override {
    if (left_until_cut < 0 || left_until_cut-- > 0) return;
    const Left left = static_cast<Left>(random.below(static_cast<uint32_t>(Left::kCount)));
    interrupt(page, at, unit, left);
    throw PowerCut{};
  }

  int64_t left_until_cut = -1;
};

void everywhere(const Geometry& g, uint64_t seed, uint32_t commits) {
  auto flash = std::make_unique<WatchedFlash>(g.page_bytes, g.pages, g.write_bytes, g.slices);
  auto copy = std::make_unique<Flash>(g.page_bytes, g.pages, g.write_bytes, g.slices);
  const bool ok = cut_everywhere(*flash, *copy, commits, seed);
  print("cuts", flash->cuts);
  print("lost", flash->lost);
  print("misused", flash->misused + copy->misused);
  uint32_t erases = 0;
  for (uint8_t i = 0; i < g.pages; ++i) erases += flash->erases[i];
  print("erases", erases);
  require(ok && flash->lost == 0, "everywhere");
}

// What a store may hold after cuts: the last committed state, and those whose commit was cut.
struct Oracle {
  std::vector<Versions> allowed = {Versions{}};
  Versions now = {};

  void found(const Store& store) {
    for (const Versions& state : allowed) {
      if (!holds(store, state)) continue;
      now = state;
      return;
    }
    require(false, "no committed state is there");
  }
};

// image: area.bin and versions.bin (uint16 a record) are written at the end.
void random_cuts(const Geometry& g, uint64_t seed, uint32_t operations, bool image) {
  CutFlash flash(g.page_bytes, g.pages, g.write_bytes, g.slices);
  flash.random.state = seed ^ 77;
  flash.unstable = !image && seed % 2 == 0;
  Random random = {seed};
  std::vector<uint16_t> where(kSlots);
  auto store = std::make_unique<Store>(flash, kLayout, where.data());
  Oracle oracle;
  uint32_t cuts = 0, commits = 0, formats = 0, refused = 0;
  uint16_t version = 0;
  for (uint32_t i = 0; i < operations; ++i) {
    version = static_cast<uint16_t>(version % 60000 + 1);
    flash.left_until_cut = random.below(3) ? -1 : random.below(random.below(4) ? 200 : 12);
    const uint32_t kind = random.below(400);
    const Versions next = kind == 0 ? Versions{} : changed(oracle.now, version, random);
    bool committing = false;
    try {
      if (kind == 0) {
        committing = true;
        require(store->format() == StoreStatus::kOk, "format");
        ++formats;
      } else if (kind < 40) {
        store->tidy();
        continue;
      } else {
        const StoreStatus status = write_changes(*store, oracle.now, next);
        if (status == StoreStatus::kFull) {
          ++refused;
          continue;
        }
        require(status == StoreStatus::kOk, "write");
        committing = true;
        require(store->commit() == StoreStatus::kOk, "commit");
      }
      ++commits;
      oracle.allowed = {next};
      oracle.now = next;
      if (random.below(20)) continue;  // else a restart without a cut
    } catch (const PowerCut&) {
      ++cuts;
      if (committing) oracle.allowed.push_back(next);
    }
    flash.left_until_cut = -1;
    std::fill(where.begin(), where.end(), 0xAAAA);
    store = std::make_unique<Store>(flash, kLayout, where.data());
    const StoreStatus status = store->mount();
    if (status == StoreStatus::kEmpty) {
      require(commits == 0, "the log is gone");
    } else {
      require(status == StoreStatus::kOk, "mount");
      oracle.found(*store);
    }
  }
  require(flash.misused == 0, "flash was misused");
  uint32_t most = 0, least = ~0u;
  for (uint8_t i = 0; i < g.pages; ++i) {
    if (flash.erases[i] > most) most = flash.erases[i];
    if (flash.erases[i] < least) least = flash.erases[i];
  }
  if (image) {
    write_file("area.bin", flash.memory, flash.bytes());
    write_file("versions.bin", oracle.now.of, sizeof oracle.now.of);
  }
  print("cuts", cuts);
  print("commits", commits);
  print("formats", formats);
  print("refused", refused);
  print("flash_operations", flash.operations);
  print("most_erases", most);
  print("least_erases", least);
}

// Mounts whatever is there, reads all, writes some. Anything may come of it but a crash, a hang, or a stray access.
void survive(Flash& flash) {
  std::vector<uint16_t> where(kSlots);
  Store store(flash, kLayout, where.data());
  const uint64_t reads = flash.reads;
  store.mount();
  for (uint16_t key = 0; key <= kKeys; ++key) {
    for (uint16_t index = 0; index < 12; ++index) {
      tfodl::StoredRecord record;
      uint8_t some[16];
      if (store.find(key, index, &record)) {
        while (store.read(&record, some, sizeof some)) {
        }
      }
    }
  }
  require(flash.reads - reads < 20u * flash.bytes(), "reading takes too long");
  const uint32_t operations = flash.operations;
  const uint8_t payload[30] = {1};
  for (uint16_t i = 0; i < 4; ++i) store.put(1, i, payload, sizeof payload);
  while (store.tidy()) {
  }
  require(store.format() == StoreStatus::kOk, "format of a hostile area");
  require(store.put(1, 2, payload, sizeof payload) == StoreStatus::kOk, "put after format");
  require(store.mount() == StoreStatus::kOk, "mount after format");
  require(flash.operations - operations < 20u * flash.bytes(), "writing takes too long");
  require(flash.misused == 0, "access outside, or a second write");
}

void put_u32(uint8_t* at, uint32_t value) { memcpy(at, &value, 4); }

// Changes heads of pages and records and makes their checksums right again.
void forge(Flash& flash, Random& random) {
  const uint32_t page = random.below(flash.pages);
  uint8_t* bytes = flash.memory + page * flash.page_bytes;
  uint32_t sequence;
  memcpy(&sequence, bytes + 12, 4);
  if (random.below(3) == 0) {
    bytes[4 + random.below(20)] = static_cast<uint8_t>(random());
    put_u32(bytes + 24, tfodl::crc32(0, bytes, 24));
    return;
  }
  const uint32_t unit = flash.write_bytes, head = (28 + unit - 1) / unit * unit;
  uint32_t at = head;
  for (uint32_t skip = random.below(6); at + 12 <= flash.page_bytes; --skip) {
    uint16_t size;
    memcpy(&size, bytes + at, 2);
    if (skip == 0) {
      bytes[at + random.below(8)] = static_cast<uint8_t>(random());
      memcpy(&size, bytes + at, 2);
      if (at + 12 + size <= flash.page_bytes) {
        put_u32(bytes + at + 8 + size, tfodl::crc32(sequence, bytes + at, 8u + size));
      }
      return;
    }
    at += (12u + size + unit - 1) / unit * unit;
  }
}

void hostile(const Geometry& g, uint64_t seed, uint32_t areas) {
  Random random = {seed};
  uint32_t mounted = 0;
  for (uint32_t i = 0; i < areas; ++i) {
    auto flash = std::make_unique<Flash>(g.page_bytes, g.pages, g.write_bytes, g.slices);
    std::vector<uint16_t> where(kSlots);
    Store store(*flash, kLayout, where.data());
    Versions now = {};
    for (uint16_t v = 1; v < 1 + random.below(40); ++v) {
      if (random.below(8) == 0) store.mount();
      const Versions next = changed(now, v, random);
      require(write_changes(store, now, next) == StoreStatus::kOk, "write");
      if (random.below(6) == 0) {
        store.mount();
      } else {
        require(store.commit() == StoreStatus::kOk, "commit");
        now = next;
      }
    }
    const uint32_t kind = random.below(4);
    for (uint32_t n = 1 + random.below(6); n > 0 && kind < 3; --n) {
      if (kind == 0) forge(*flash, random);
      if (kind == 1) flash->memory[random.below(flash->bytes())] ^= static_cast<uint8_t>(1u << random.below(8));
      if (kind == 2) flash->memory[random.below(flash->bytes())] = static_cast<uint8_t>(random());
    }
    if (kind == 3) {
      for (uint32_t b = 0; b < flash->bytes(); ++b) flash->memory[b] = static_cast<uint8_t>(random());
    }
    mounted += store.mount() == StoreStatus::kOk;
    survive(*flash);
  }
  print("areas", areas);
  print("mounted", mounted);
}

// Capacity, refusals and bad calls: nothing is lost by any of them.
void full(const Geometry& g) {
  Flash flash(g.page_bytes, g.pages, g.write_bytes, g.slices);
  const uint16_t first[] = {0, 200};
  const tfodl::StoreLayout layout = {{9}, first, 1}, other = {{8}, first, 1};
  std::vector<uint16_t> where(200), where2(200);
  Store store(flash, layout, where.data());
  std::vector<uint8_t> payload(g.page_bytes, 7);
  const uint16_t bytes = 100;
  require(store.mount() == StoreStatus::kEmpty, "empty");
  uint16_t n = 0;
  StoreStatus status = StoreStatus::kOk;
  while (n < 200 && (status = store.put(0, n, payload.data(), bytes)) == StoreStatus::kOk) ++n;
  require(status == StoreStatus::kFull && n > 0, "full");
  print("records", n);
  print("payload_share_percent", 100u * n * bytes / flash.bytes());
  tfodl::StoredRecord record;
  for (int again = 0; again < 2; ++again) {
    for (uint16_t i = 0; i < n; ++i) require(store.find(0, i, &record) && record.bytes == bytes, "kept");
    require(!store.find(0, n, &record), "not kept");
    require(store.mount() == StoreStatus::kOk, "mount");
  }
  for (uint16_t i = 0; i < 2; ++i) require(store.put(0, --n, nullptr, 0) == StoreStatus::kOk, "removed when full");
  for (uint16_t i = 0; i < 500; ++i) {
    require(store.put(0, i % n, payload.data(), bytes) == StoreStatus::kOk, "renewed");
  }
  require(store.put(0, 0, nullptr, 0) == StoreStatus::kOk && !store.find(0, 0, &record), "removed");
  require(store.put(0, 0, payload.data(), bytes) == StoreStatus::kOk, "room again");
  require(store.put(0, 1, payload.data(), g.page_bytes) == StoreStatus::kFull, "larger than a page");
  require(store.put(1, 0, payload.data(), 4) == StoreStatus::kBadRecord, "key");
  require(store.put(0, 200, payload.data(), 4) == StoreStatus::kBadRecord, "index");
  require(store.open(0, 0, 4) == StoreStatus::kBadRecord, "outside of a transaction");
  require(store.commit() == StoreStatus::kBadRecord, "commit after an error");
  require(store.begin(store.room(8), store.room(8)) == StoreStatus::kOk, "begin");
  require(store.open(0, 0, 8) == StoreStatus::kOk, "open");
  store.append(payload.data(), 9);
  require(store.close() == StoreStatus::kBadRecord, "too much");
  require(store.mount() == StoreStatus::kOk && store.find(0, 0, &record) && record.bytes == bytes, "as before");
  flash.supply = false;
  require(store.put(0, 1, payload.data(), 4) == StoreStatus::kRefused && !store.tidy(), "low supply");
  require(store.format() == StoreStatus::kRefused, "low supply, format");
  flash.supply = true;
  require(store.mount() == StoreStatus::kOk && store.find(0, 1, &record), "nothing lost");
  Store foreign(flash, other, where2.data());
  require(foreign.mount() == StoreStatus::kForeign, "foreign");
  require(foreign.put(0, 0, payload.data(), 4) == StoreStatus::kForeign, "foreign, put");
  require(store.mount() == StoreStatus::kOk && store.find(0, 1, &record), "untouched");
  require(foreign.format() == StoreStatus::kOk, "taken over");
  require(foreign.put(0, 0, payload.data(), 4) == StoreStatus::kOk, "put after that");
  require(store.mount() == StoreStatus::kForeign, "taken over, seen from the other side");
  require(flash.misused == 0, "misused");
}

// An array with a base: whole, rows of it or columns of it, by turns.
struct Array {
  std::vector<uint8_t> data, base;
  std::vector<int16_t> rows, columns;
  tfodl::Kept kept;

  Array(Random& random, uint8_t width, uint32_t kind) {
    const uint16_t all_rows = static_cast<uint16_t>(1 + random.below(20));
    const uint16_t all_columns = static_cast<uint16_t>(1 + random.below(90));
    const uint8_t step = static_cast<uint8_t>(width + (kind == 3 ? 3 : 0));
    if (kind == 1) rows = chosen(random, all_rows);
    if (kind == 2) columns = chosen(random, all_columns);
    const uint16_t here = static_cast<uint16_t>(kind == 2 ? columns.size() : all_columns);
    const uint32_t count = here * static_cast<uint32_t>(kind == 1 ? rows.size() : all_rows);
    base.resize(kind == 3 ? 0 : uint32_t{all_rows} * all_columns * width);
    for (uint8_t& byte : base) byte = static_cast<uint8_t>(random());
    data.resize(count * step - (step - width));
    kept = {data.data(), kind == 3 ? nullptr : base.data(), kind == 1 ? rows.data() : nullptr,
            kind == 2 ? columns.data() : nullptr, count, here, all_columns, width, step};
  }

  static std::vector<int16_t> chosen(Random& random, uint16_t all) {
    std::vector<int16_t> found;
    for (uint16_t i = 0; i < all; ++i) {
      if (random.below(2) || i + 1 == all) found.push_back(static_cast<int16_t>(i));
    }
    return found;
  }

  void change(Random& random) {
    const uint32_t most = uint32_t{1} << random.below(9);
    for (uint8_t& byte : data) {
      if (random.below(3) == 0) byte = static_cast<uint8_t>(random.below(most));
    }
  }
};

// What was saved comes back; a record with any payload at all is survived.
void packed(uint64_t seed, uint32_t rounds) {
  Random random = {seed};
  for (uint32_t round = 0; round < rounds; ++round) {
    std::vector<Array> arrays;
    for (uint32_t i = 0; i < 6; ++i) {
      const uint8_t width = static_cast<uint8_t>(1u << random.below(3));
      arrays.emplace_back(random, width, random.below(4));
    }
    std::vector<tfodl::Kept> kept;
    std::vector<uint16_t> first = {0};
    for (const Array& array : arrays) {
      kept.push_back(array.kept);
      first.push_back(static_cast<uint16_t>(first.back() + tfodl::pieces(array.kept.count, array.kept.width)));
    }
    const uint16_t n = static_cast<uint16_t>(kept.size());
    const tfodl::StoreLayout layout = {{3}, first.data(), n};
    std::vector<uint16_t> where(layout.records());
    std::vector<uint8_t> memory(4096 * 40);
    tfodl::MemoryFlash flash(memory.data(), 4096, 40);
    Store store(flash, layout, where.data());
    std::vector<std::vector<uint8_t>> saved;
    for (uint32_t save = 0; save < 4; ++save) {
      saved.clear();
      for (Array& array : arrays) array.change(random);
      require(tfodl::save_kept(store, kept.data(), n) == StoreStatus::kOk, "save");
      for (Array& array : arrays) saved.push_back(array.data);
    }
    for (Array& array : arrays) array.change(random);
    require(tfodl::restore_kept(store, kept.data(), n) == StoreStatus::kOk, "restore");
    for (size_t i = 0; i < arrays.size(); ++i) {
      const Array& array = arrays[i];
      for (uint32_t j = 0; j < array.kept.count; ++j) {
        const uint32_t at = j * array.kept.step;
        require(memcmp(array.data.data() + at, saved[i].data() + at, array.kept.width) == 0, "restored");
      }
    }
    const uint16_t key = static_cast<uint16_t>(random.below(n));
    std::vector<uint8_t> payload(1 + random.below(600));
    for (uint8_t& byte : payload) byte = static_cast<uint8_t>(random.below(4) ? random() : 0xFF);
    payload[0] = static_cast<uint8_t>(random.below(3) ? random.below(26) : 0xFF);
    require(store.put(key, 0, payload.data(), static_cast<uint16_t>(payload.size())) == StoreStatus::kOk, "put");
    const StoreStatus status = tfodl::restore_kept(store, kept.data(), n);
    require(status == StoreStatus::kOk || status == StoreStatus::kDamaged, "restore of anything");
  }
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 4 && argc != 8) return 2;
  Geometry g = {512, 8, 4, 3};
  if (argc == 8) {
    g = {static_cast<uint32_t>(atoi(argv[4])), static_cast<uint8_t>(atoi(argv[5])), static_cast<uint8_t>(atoi(argv[6])),
         static_cast<uint8_t>(atoi(argv[7]))};
  }
  const uint64_t seed = strtoull(argv[2], nullptr, 10);
  const uint32_t count = static_cast<uint32_t>(atoi(argv[3]));
  const char mode = argv[1][0];
  if (mode == 'e') everywhere(g, seed, count);
  if (mode == 'r' || mode == 'i') random_cuts(g, seed, count, mode == 'i');
  if (mode == 'h') hostile(g, seed, count);
  if (mode == 'f') full(g);
  if (mode == 'p') packed(seed, count);
  return 0;
}
