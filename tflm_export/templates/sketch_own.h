
// For a sketch whose samples come from a sensor.
constexpr int32_t kMostClasses = net::kLogits;
inline int32_t classes() { return $used; }
inline const char* class_name(int32_t label) {
  static const char* const kNames[] = {$names};
  return $name_of;
}

// The class that a key stands for, 0 to 9, then a to z; -1 for any other, and for more than one above those in use.
inline int32_t class_of_key(int key) {
  const int32_t label = key >= '0' && key <= '9' ? key - '0' : key >= 'a' && key <= 'z' ? key - 'a' + 10 : -1;
  return label <= classes() && label < kMostClasses ? label : -1;
}

// A step on the sample that is in place$remembered; the loss before it.
inline float learn(int32_t label) {
  const float loss = net::train_step(label);
$remember  return loss;
}
