
// Label i32 of the picture seen last -> samples remembered.
inline Status remember(SerialProtocol& p) {
$make_room  if (!net::remember(p.staged_i32(0))) return Status::kOutOfRange;
  p.add_u32(static_cast<uint32_t>(net::remembered()));
  return Status::kOk;
}

// The replays of a step, without its own sample -> loss of the last, -1 when there was none.
inline Status rest(SerialProtocol& p) {
  float loss = -1.0f;
  for (int32_t i = 0; i < net::kReplays; ++i) loss = net::replay();
  for (int32_t i = 0; i < net::kExemplarReplays; ++i) loss = net::replay_exemplar();
  p.add_f32(loss);
  return Status::kOk;
}
