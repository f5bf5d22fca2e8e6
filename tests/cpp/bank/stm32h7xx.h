// What BankFlash asks of an STM32H747: registers of the second bank's flash and of the Cortex-M7, played on a host.
#pragma once
#include <stddef.h>
#include <stdint.h>

constexpr uint32_t kBankBytes = 1024 * 1024, kSectorBytes = 131072, kWordBytes = 32, kAreaStart = 4 * kSectorBytes;
extern uint8_t* bank;  // mapped in pages that a read of a torn word faults in
#define FLASH_BANK2_BASE (reinterpret_cast<uintptr_t>(bank))

enum : uint32_t {
  FLASH_CR_LOCK = 1u << 0, FLASH_CR_PG = 1u << 1, FLASH_CR_SER = 1u << 2, FLASH_CR_START = 1u << 7, FLASH_CR_SNB_Pos = 8,
  FLASH_SR_BSY = 1u << 0, FLASH_SR_QW = 1u << 2, FLASH_SR_DBECCERR = 1u << 26,
  FLASH_CCR_CLR_EOP = 1u << 16, FLASH_CCR_CLR_WRPERR = 1u << 17, FLASH_CCR_CLR_PGSERR = 1u << 18,
  FLASH_CCR_CLR_STRBERR = 1u << 19, FLASH_CCR_CLR_INCERR = 1u << 21, FLASH_CCR_CLR_OPERR = 1u << 22,
  FLASH_CCR_CLR_SNECCERR = 1u << 25, FLASH_CCR_CLR_DBECCERR = 1u << 26,
  FLASH_OPTCR_SWAP_BANK = 1u << 31, SYSCFG_UR3_BCM4_ADD0 = 0xFFFF0000u, SCB_CCR_BFHFNMIGN_Msk = 1u << 8,
};

struct Chip {
  struct Keys {
    Chip* chip;
    void operator=(uint32_t key) { chip->take_key(key); }
  };
  struct Control {
    Chip* chip;
    void operator=(uint32_t value) { chip->control(value); }
    void operator|=(uint32_t value) { chip->control(chip->cr | value); }
    operator uint32_t() const { return chip->cr; }
  };
  struct Status {
    Chip* chip;
    operator uint32_t() const { return chip->status(); }
  };
  struct Clear {
    Chip* chip;
    void operator=(uint32_t flags) { chip->clear(flags); }
  };
  Keys KEYR2 = {this};
  Control CR2 = {this};
  Status SR2 = {this};
  Clear CCR2 = {this};
  uint32_t OPTCR = 0;

  void take_key(uint32_t key);
  void control(uint32_t value);
  uint32_t status();
  void clear(uint32_t flags);

  uint32_t cr = FLASH_CR_LOCK, keys = 0, flags = 0;
};
extern Chip chip;
#define FLASH (&chip)

struct SystemControl {
  uint32_t CCR, UR3;
};
extern SystemControl system_control;
#define SCB (&system_control)
#define SYSCFG (&system_control)

extern uint32_t primask, faultmask;
inline uint32_t __get_PRIMASK() { return primask; }
inline void __set_PRIMASK(uint32_t value) { primask = value; }
inline void __disable_irq() { primask = 1; }
inline void __set_FAULTMASK(uint32_t value) { faultmask = value; }
inline void __DSB() {}
inline void __ISB() {}
void SCB_InvalidateDCache_by_Addr(uint32_t* address, int32_t bytes);
