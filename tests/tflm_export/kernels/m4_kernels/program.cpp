// The cases of "asked.bin": family 0 forward or 1 gradient, seed.
#include "both.h"
#include "layers.h"

namespace forward {
#include "forward.cpp"
}
namespace gradient {
#include "gradient.cpp"
}

int main() {
  uint32_t asked[2];
  board_read("asked.bin", asked, sizeof asked);
  random_source.state = asked[1];
  asked[0] ? gradient::all_cases() : forward::all_cases();
  return 0;
}
