#if defined(STM32H747xx) && defined(CORE_CM7)
#include "tfodl/store/bank_flash.h"

#include <Arduino.h>
#include <stm32h7xx.h>

extern "C" {
extern uint8_t __etext, __data_start__, __data_end__;  // of the core's linker script
}

namespace tfodl {
namespace {

constexpr uint32_t kSector = 131072, kWord = 32, kFirstSector = 4;  // of the bank's eight
constexpr uint32_t kFast = 3u << 4;                                 // PSIZE: 64 bits at a time
constexpr uint32_t kKeys[] = {0x45670123u, 0xCDEF89ABu};
constexpr uint32_t kFlags = FLASH_CCR_CLR_EOP | FLASH_CCR_CLR_WRPERR | FLASH_CCR_CLR_PGSERR | FLASH_CCR_CLR_STRBERR |
                            FLASH_CCR_CLR_INCERR | FLASH_CCR_CLR_OPERR | FLASH_CCR_CLR_SNECCERR | FLASH_CCR_CLR_DBECCERR;

uintptr_t area() { return FLASH_BANK2_BASE + kFirstSector * kSector; }

bool is_busy() { return FLASH->SR2 & (FLASH_SR_BSY | FLASH_SR_QW); }

void wait_slice() {
  const uint32_t since = millis();
  while (is_busy() && millis() - since < BankFlash::kSliceMs) {
  }
}

void unlock() {
  if (FLASH->CR2 & FLASH_CR_LOCK) {
    for (const uint32_t key : kKeys) FLASH->KEYR2 = key;
  }
  FLASH->CCR2 = kFlags;
}

void lock() { FLASH->CR2 = FLASH_CR_LOCK; }

void forget_cached(uintptr_t from, uint32_t bytes) {
  SCB_InvalidateDCache_by_Addr(reinterpret_cast<uint32_t*>(from), static_cast<int32_t>(bytes));
}

// A word that two bits or more of its checksum speak against is 0. The bus error that comes with it is masked.
void load(uintptr_t from, uint32_t* word) {
  FLASH->CCR2 = FLASH_CCR_CLR_SNECCERR | FLASH_CCR_CLR_DBECCERR;
  const uint32_t masked = __get_PRIMASK();
  __disable_irq();
  __set_FAULTMASK(1);
  SCB->CCR |= SCB_CCR_BFHFNMIGN_Msk;
  __DSB();
  __ISB();
  const volatile uint32_t* const there = reinterpret_cast<const volatile uint32_t*>(from);
  for (uint32_t i = 0; i < kWord / 4; ++i) word[i] = there[i];
  __DSB();
  SCB->CCR &= ~SCB_CCR_BFHFNMIGN_Msk;
  __set_FAULTMASK(0);
  __set_PRIMASK(masked);
  if (FLASH->SR2 & FLASH_SR_DBECCERR) memset(word, 0, kWord);
}

}  // namespace

BankFlash::BankFlash(void (*between)()) : FlashArea(kSector, 4, kWord, kSlices), between_(between) {}

bool BankFlash::may_write() {
  const uintptr_t program = reinterpret_cast<uintptr_t>(&__etext) + static_cast<uintptr_t>(&__data_end__ - &__data_start__);
  const uint32_t m4 = SYSCFG->UR3 & SYSCFG_UR3_BCM4_ADD0;  // where the Cortex-M4 starts
  const bool is_m4s = m4 >= area() && m4 < area() + 4 * kSector;
  return !(FLASH->OPTCR & FLASH_OPTCR_SWAP_BANK) && program <= area() && !is_m4s;
}

void BankFlash::read(uint32_t at, void* data, uint32_t n) const {
  wait();
  uint8_t* to = static_cast<uint8_t*>(data);
  while (n > 0) {
    uint32_t word[kWord / 4];
    load(area() + at / kWord * kWord, word);
    const uint32_t skipped = at % kWord, count = n < kWord - skipped ? n : kWord - skipped;
    memcpy(to, reinterpret_cast<const uint8_t*>(word) + skipped, count);
    at += count;
    to += count;
    n -= count;
  }
}

void BankFlash::write(uint32_t at, const void* data, uint32_t n) {
  end_erase();
  for (uint32_t i = 0; i < n; i += kWord) {
    uint32_t word[kWord / 4];
    memcpy(word, static_cast<const uint8_t*>(data) + i, kWord);
    unlock();
    FLASH->CR2 = FLASH_CR_PG | kFast;
    __DSB();
    __ISB();
    volatile uint32_t* const there = reinterpret_cast<volatile uint32_t*>(area() + at + i);
    for (uint32_t k = 0; k < kWord / 4; ++k) there[k] = word[k];
    __DSB();
    while (is_busy()) {
    }
    lock();
  }
  forget_cached(area() + at, n);
}

// A page is erased at once; slices wait for it.
void BankFlash::erase_slice(uint8_t page) {
  if (erasing_ != page) begin_erase(page);
  wait_slice();
  if (++slices_ == erase_slices) end_erase();
}

void BankFlash::begin_erase(uint8_t page) {
  end_erase();
  unlock();
  FLASH->CR2 = FLASH_CR_SER | kFast | (kFirstSector + page) << FLASH_CR_SNB_Pos;
  FLASH->CR2 |= FLASH_CR_START;
  __DSB();
  erasing_ = static_cast<int8_t>(page);
  slices_ = 0;
}

// For an erase that was begun and left.
void BankFlash::wait() const {
  while (is_busy()) {
    wait_slice();
    if (between_) between_();
  }
}

void BankFlash::end_erase() {
  wait();
  if (erasing_ < 0) return;
  lock();
  forget_cached(area() + static_cast<uint32_t>(erasing_) * kSector, kSector);
  erasing_ = -1;
}

}  // namespace tfodl
#endif
