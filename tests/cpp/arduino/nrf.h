#pragma once
#include <stdint.h>

struct NvmcStub {
  volatile uint32_t ICACHECNF;
};
extern NvmcStub nvmc_stub;
#define NRF_NVMC (&nvmc_stub)
