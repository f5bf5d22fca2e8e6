
// Samples judged on the board, by true and predicted class.
inline uint16_t* confusion_counts() {
  static uint16_t counts[$classes * $classes];
  return counts;
}
inline Status evaluate(SerialProtocol& p) { return serial::evaluate(p, confusion_counts(), $classes); }
inline Status confusion(SerialProtocol& p) { return serial::confusion(p, confusion_counts(), $classes); }
