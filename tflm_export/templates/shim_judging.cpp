
extern "C" {
bool shim_judge() { return $name::judge(); }
int32_t shim_judging() { return $name::judging(); }
}
