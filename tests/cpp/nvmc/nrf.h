// The registers of an nRF52840's flash controller, played on a host: a page is erased after 85 ms of slices.
#pragma once
#include <stdint.h>
#include <string.h>

constexpr uint32_t kFlashBytes = 8 * 4096;
alignas(4096) extern uint8_t flash_memory[kFlashBytes];

struct Nvmc {
  struct Partial {
    Nvmc* nvmc;
    void operator=(uint32_t address) { nvmc->erase(address); }
  };
  uint32_t READY = 1, CONFIG = 0, ERASEPAGEPARTIALCFG = 10;
  Partial ERASEPAGEPARTIAL = {this};
  uint32_t longest_ms = 0, wrong = 0, erased = 0, done_ms[8] = {};

  void erase(uint32_t address) {
    const uint32_t at = address - static_cast<uint32_t>(reinterpret_cast<uintptr_t>(flash_memory));
    wrong += CONFIG != 2 || at >= kFlashBytes || at % 4096;
    if (wrong) return;
    if (ERASEPAGEPARTIALCFG > longest_ms) longest_ms = ERASEPAGEPARTIALCFG;
    done_ms[at / 4096] += ERASEPAGEPARTIALCFG;
    memset(flash_memory + at, done_ms[at / 4096] < 88 ? 0xA5 : 0xFF, 4096);
    if (done_ms[at / 4096] >= 88) ++erased, done_ms[at / 4096] = 0;
  }
};

extern Nvmc nvmc_played;
#define NRF_NVMC (&nvmc_played)
