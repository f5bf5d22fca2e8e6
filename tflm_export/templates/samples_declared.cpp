
// The samples' latents lie in the store; the arena holds the one that was read last.
const int8_t* stored(int32_t place);
