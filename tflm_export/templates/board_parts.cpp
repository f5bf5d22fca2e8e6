int32_t label_of(const void* target) {
  int32_t label;
  memcpy(&label, target, sizeof label);
  return label;
}

void write_weights() {
  uint32_t total = 0;
  for (int32_t i = 0; i < $name::kParameters; ++i) total += $name::parameters()[i].nbytes;
  int8_t* all = static_cast<int8_t*>(board_alloc(total));
  uint32_t at = 0;
  for (int32_t i = 0; i < $name::kParameters; ++i) {
    memcpy(all + at, $name::parameters()[i].data, $name::parameters()[i].nbytes);
    at += $name::parameters()[i].nbytes;
  }
  board_write("weights.bin", all, total);
}
