
inline StoreStatus open_saved() { return net::open(flash(), flash().mapped()); }

// Commits, measures, chooses anew -> epoch.
inline Status new_epoch(SerialProtocol& p) {
  const StoreStatus status = net::new_epoch();
  if (status == StoreStatus::kOk) p.add_u32(net::epoch());
  return serial::of_flash(status);
}

inline Status factory_reset(SerialProtocol& p) {
  const StoreStatus status = net::format();
  return status == StoreStatus::kOk ? serial::reset(p) : serial::of_flash(status);
}

// Weights go into flash, and are the engine's when they are whole.
inline const serial::ImageWriter& image_writer() {
  static const serial::ImageWriter kWriter = {net::image_tensors(), net::kImageTensors, net::begin_image, net::put_image,
                                              net::end_image};
  return kWriter;
}
inline Status parameter(SerialProtocol& p) { return serial::parameter(p, image_writer()); }
inline Status begin_weights(SerialProtocol& p) { return serial::begin_weights(p, image_writer()); }
inline Status write_weights(SerialProtocol& p) { return serial::write_weights(p, image_writer()); }
inline Status end_weights(SerialProtocol& p) { return serial::end_weights(p, image_writer()); }
