
// -> whether what was learned is kept, pictures that judged.
inline Status judge(SerialProtocol& p) {
  p.add_u32(net::judge());
  p.add_u32(static_cast<uint32_t>(net::judging()));
  return Status::kOk;
}
