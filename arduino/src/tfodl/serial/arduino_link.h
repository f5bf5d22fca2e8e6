// The protocol's bytes over a serial port of the Arduino core. For sketches.
#ifndef TFODL_SERIAL_ARDUINO_LINK_H
#define TFODL_SERIAL_ARDUINO_LINK_H
#include "tfodl/serial_protocol.h"

namespace tfodl {

constexpr uint32_t kPatienceMs = 200;  // for a host that holds the port and does not read

template <typename Port>
class PortLink : public ByteLink {
 public:
  PortLink(Port& port, unsigned long (*clock)()) : port_(port), clock_(clock) {}

  uint32_t read(uint8_t* to, uint32_t most) override {
    const int there = port_.available();
    const uint32_t n = there < 0 ? 0 : static_cast<uint32_t>(there) < most ? static_cast<uint32_t>(there) : most;
    for (uint32_t i = 0; i < n; ++i) to[i] = static_cast<uint8_t>(port_.read());
    return n;
  }

  bool write(const uint8_t* data, uint32_t n) override {
    const unsigned long start = clock_();
    while (n > 0) {
      const uint32_t taken = offer(port_, data, n, 0);
      data += taken;
      n -= taken;
      if (taken == 0 && clock_() - start > kPatienceMs) return false;
    }
    return true;
  }

 private:
  // What the port takes without waiting: of cores on Mbed by send_nb, whose write() waits for ever.
  template <typename P>
  static auto offer(P& port, const uint8_t* data, uint32_t n, int)
      -> decltype(port.send_nb(const_cast<uint8_t*>(data), n, static_cast<uint32_t*>(nullptr)), uint32_t()) {
    uint32_t taken = 0;
    port.send_nb(const_cast<uint8_t*>(data), n, &taken);
    return taken;
  }
  template <typename P>
  static uint32_t offer(P& port, const uint8_t* data, uint32_t n, long) {
    const int room = port.availableForWrite();
    if (room <= 0) return 0;
    return static_cast<uint32_t>(port.write(data, static_cast<uint32_t>(room) < n ? static_cast<uint32_t>(room) : n));
  }

  Port& port_;
  unsigned long (*clock_)();
};

}  // namespace tfodl

#endif  // TFODL_SERIAL_ARDUINO_LINK_H
