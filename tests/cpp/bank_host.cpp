// The store on an STM32H7's flash driver, whose registers are played on the host. A word that a power cut tore is a bus
// error to read: its page of the host's memory is taken away, and the fault counts as the chip's. The data cache keeps
// what was read of a line until it is told to forget.
#include <Arduino.h>
#include <signal.h>
#include <stm32h7xx.h>
#include <sys/mman.h>

#include <set>

#include "area_test.h"
#include "tfodl/store/sketch_flash.h"

// The linker script's: a program with 4 KB of data to be copied.
uint8_t program_image[65536 + 4096];
__asm__(".globl __etext\n.set __etext, program_image + 65536\n"
        ".globl __data_start__\n.set __data_start__, program_image\n"
        ".globl __data_end__\n.set __data_end__, program_image + 4096\n");

uint8_t* bank;
Chip chip;
SystemControl system_control = {};
uint32_t primask = 0, faultmask = 0;

namespace {

uint8_t before[kBankBytes];     // what flash held before a write
std::set<uint32_t> torn;        // words, by their start in the bank
std::set<uint32_t> stale;       // words that changed, and that the cache was not told of
uint32_t now_ms = 0, busy_until = 0, wrong = 0, erased = 0, written = 0, caught = 0, pauses = 0, longest_ms = 0, paused = 0;
uint32_t cut_in = 0;            // operations until the power goes; 0: never

struct PowerCut {};

uint8_t* host_page(uint32_t at) { return bank + at / 4096 * 4096; }

void hide_torn() {
  for (const uint32_t at : torn) mprotect(host_page(at), 4096, PROT_NONE);
}

void show(uint32_t at) { mprotect(host_page(at), 4096, PROT_READ | PROT_WRITE); }

void on_fault(int, siginfo_t* info, void*) {
  const uintptr_t address = reinterpret_cast<uintptr_t>(info->si_addr), start = reinterpret_cast<uintptr_t>(bank);
  if (address < start || address >= start + kBankBytes) _exit(9);
  const uint32_t at = static_cast<uint32_t>(address - start);
  show(at);
  if (!torn.count(at / kWordBytes * kWordBytes)) return;  // a neighbour on the host's page
  if (!faultmask || !(system_control.CCR & SCB_CCR_BFHFNMIGN_Msk)) _exit(8);  // the chip's bus fault
  chip.flags |= FLASH_SR_DBECCERR;
  ++caught;
}

void tear(uint32_t at) {
  for (uint32_t i = 0; i < kWordBytes; ++i) bank[at + i] = static_cast<uint8_t>(rand());
  torn.insert(at);
}

bool power_goes() { return cut_in != 0 && --cut_in == 0; }

void erase(uint32_t sector) {
  wrong += sector < 4 || sector > 7;
  const uint32_t start = sector * kSectorBytes;
  for (uint32_t at = start; at < start + kSectorBytes; at += 4096) show(at);
  torn.erase(torn.lower_bound(start), torn.lower_bound(start + kSectorBytes));
  if (power_goes()) {
    for (uint32_t at = start; at < start + kSectorBytes; at += 977 * kWordBytes) tear(at);
    memcpy(before + start, bank + start, kSectorBytes);
    throw PowerCut{};
  }
  memset(bank + start, 0xFF, kSectorBytes);
  memset(before + start, 0xFF, kSectorBytes);
  for (uint32_t at = start; at < start + kSectorBytes; at += kWordBytes) stale.insert(at);
  busy_until = now_ms + 1300;
  ++erased;
}

// One whole word was written, over erased flash.
void program() {
  std::set<uint32_t> changed;
  for (uint32_t page = 0; page < kBankBytes; page += 4096) {
    if (memcmp(bank + page, before + page, 4096) == 0) continue;
    for (uint32_t at = page; at < page + 4096; at += kWordBytes) {
      if (memcmp(bank + at, before + at, kWordBytes) != 0) changed.insert(at);
    }
  }
  if (changed.empty()) return;  // a word of 0xFF
  const uint32_t at = *changed.begin();
  wrong += changed.size() != 1 || at < kAreaStart;
  for (uint32_t i = 0; i < kWordBytes; ++i) wrong += before[at + i] != 0xFF;
  stale.insert(at);
  ++written;
  const bool is_cut = power_goes();
  if (is_cut) tear(at);
  memcpy(before + at, bank + at, kWordBytes);
  if (is_cut) throw PowerCut{};
}

}  // namespace

unsigned long millis() { return now_ms; }

void Chip::take_key(uint32_t key) {
  wrong += key != (keys == 0 ? 0x45670123u : 0xCDEF89ABu) || !(cr & FLASH_CR_LOCK);
  if (++keys == 2) cr = 0;
}

void Chip::control(uint32_t value) {
  wrong += (cr & FLASH_CR_LOCK) != 0 || now_ms < busy_until;
  const bool wrote = (cr & FLASH_CR_PG) != 0, begins = !wrote && (value & FLASH_CR_PG) != 0;
  cr = value;
  keys = value & FLASH_CR_LOCK ? 0 : keys;
  if (begins || wrote) {
    for (const uint32_t at : torn) show(at);
  }
  if (wrote) program();
  if (value & FLASH_CR_START) erase(value >> FLASH_CR_SNB_Pos & 7);
}

uint32_t Chip::status() {
  now_ms += now_ms < busy_until;  // whoever asks waits
  const uint32_t waited = now_ms - paused;
  longest_ms = waited > longest_ms ? waited : longest_ms;
  return flags | (now_ms < busy_until ? FLASH_SR_BSY | FLASH_SR_QW : 0u);
}

void Chip::clear(uint32_t which) {
  flags &= ~which;
  hide_torn();
}

void SCB_InvalidateDCache_by_Addr(uint32_t* address, int32_t bytes) {
  const uint32_t start = static_cast<uint32_t>(reinterpret_cast<uint8_t*>(address) - bank);
  stale.erase(stale.lower_bound(start), stale.lower_bound(start + static_cast<uint32_t>(bytes)));
}

namespace {

void on_pause() {
  ++pauses;
  paused = now_ms;
  require(stale.empty() || (chip.cr & FLASH_CR_SER), "what the cache holds is old");
  require(chip.cr & (FLASH_CR_LOCK | FLASH_CR_SER), "left open");
  require(!primask && !faultmask && !system_control.CCR, "left masked");
}

// Saves with the power cut after ever more operations: a new start finds one of the last two states whole.
void try_cuts() {
  const uint16_t first[] = {0, 2};
  const tfodl::StoreLayout layout = {{2}, first, 1};
  uint16_t where[2];
  uint8_t payload[300];
  uint32_t safe = 0, version = 1;
  for (uint32_t cut = 0; cut < 60; ++cut) {
    try {
      tfodl::SketchFlash area(16, on_pause);
      tfodl::Store store(area, layout, where);
      if (cut == 0) require(store.format() == tfodl::StoreStatus::kOk, "format");
      cut_in = cut == 0 ? 0 : 1 + cut % 23;
      for (uint32_t i = 0; i < 40; ++i, ++version) {
        memset(payload, static_cast<int>(version & 255), sizeof payload);
        require(store.put(0, 0, payload, sizeof payload) == tfodl::StoreStatus::kOk, "put");
        safe = version;
      }
      cut_in = 0;
    } catch (const PowerCut&) {
      chip.cr = FLASH_CR_LOCK;
      chip.keys = chip.flags = 0;
      busy_until = now_ms;
      primask = faultmask = 0;
      stale.clear();
    }
    hide_torn();
    tfodl::SketchFlash area(16, on_pause);
    tfodl::Store store(area, layout, where);
    require(store.mount() == tfodl::StoreStatus::kOk, "mount after a cut");
    tfodl::StoredRecord record;
    require(store.find(0, 0, &record) && store.read(&record, payload, 300) == 300, "find after a cut");
    for (const uint8_t byte : payload) require(byte == (safe & 255) || byte == (version & 255), "a mixture");
  }
}

}  // namespace

int main() {
  bank = static_cast<uint8_t*>(mmap(reinterpret_cast<void*>(0x60000000), kBankBytes, PROT_READ | PROT_WRITE,
                                    MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE, -1, 0));
  memset(bank, 0xFF, kBankBytes);
  memset(before, 0xFF, kBankBytes);
  struct sigaction action = {};
  action.sa_sigaction = on_fault;
  action.sa_flags = SA_SIGINFO | SA_NODEFER;
  sigaction(SIGSEGV, &action, nullptr);
  sigaction(SIGBUS, &action, nullptr);
  {
    tfodl::SketchFlash area(16, on_pause);
    try_area(area, bank + kAreaStart, [] { chip.OPTCR = FLASH_OPTCR_SWAP_BANK; });
    chip.OPTCR = 0;
    require(area.may_write(), "neither swapped nor the Cortex-M4's");
    system_control.UR3 = 0x60080000u;
    require(!area.may_write(), "the Cortex-M4's");
    system_control.UR3 = 0x60000000u;
  }
  const uint32_t whole = longest_ms;
  try_cuts();
  printf("wrong %u\nerased %u\nwritten %u\npauses %u\ncaught %u\nlongest_ms %u\n", wrong, erased, written, pauses, caught,
         whole);
  return 0;
}
