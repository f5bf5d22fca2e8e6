
extern "C" int32_t shim_changes_left() { return $name::changes_left(); }
