
// Names of the spare classes, 0-padded and ended by 0; without a store they are lost with the power.
constexpr uint32_t kNameBytes = 16;
inline char* spare_name(int32_t label) {
  static char names[net::kSpareClasses][kNameBytes + 1];
  return names[label - (net::kLogits - net::kSpareClasses)];
}

// Name, picture -> label, loss.
inline Status new_class(SerialProtocol& p) {
  const int32_t label = net::classes();
  if (label >= net::kLogits) return Status::kOutOfRange;
  const float loss = net::train_step(label);
  memcpy(spare_name(label), p.staged(), kNameBytes);
  p.step_done(loss);
  p.add_u32(static_cast<uint32_t>(label));
  p.add_f32(loss);
  return Status::kOk;
}

// Label i32, perhaps a name that it has from now on -> its name.
inline Status class_name(SerialProtocol& p) {
  const int32_t label = p.staged_i32(0);
  if (label < net::kLogits - net::kSpareClasses || label >= net::kLogits) return Status::kOutOfRange;
  if (p.staged_bytes() == 4 + kNameBytes) memcpy(spare_name(label), p.staged() + 4, kNameBytes);
  p.begin(kNameBytes);
  p.put(spare_name(label), kNameBytes);
  return Status::kOk;
}
