#pragma once
#include <stdint.h>

struct NvmcStub {
  volatile uint32_t READY, CONFIG, ERASEPAGEPARTIAL, ERASEPAGEPARTIALCFG, ICACHECNF;
};
extern NvmcStub nvmc_stub;
#define NRF_NVMC (&nvmc_stub)
