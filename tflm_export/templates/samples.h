
// The memory is in the store, which must be restored once before anything is remembered: without it, or where it fails,
// remember() is false. Samples that were saved and may still be replaced before the next save(); at 0 remember() may be
// false, too.
int32_t changes_left();
