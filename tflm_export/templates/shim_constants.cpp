
extern "C" {
void shim_constants_changed() { $name::constants_changed(); }
uint8_t shim_constants_status() { return static_cast<uint8_t>($name::constants_status()); }
}
