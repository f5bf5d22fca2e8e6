
extern "C" {
int32_t shim_classes() { return $name::classes(); }
}
