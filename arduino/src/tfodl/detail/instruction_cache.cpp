#include "tfodl/support.h"

#if defined(NRF52840_XXAA)  // the core's build flags name the chip
#include <nrf.h>
#endif

namespace tfodl {

void enable_instruction_cache() {
#if defined(NRF52840_XXAA)
  NRF_NVMC->ICACHECNF = 1;
#endif
}

}  // namespace tfodl
