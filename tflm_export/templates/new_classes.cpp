
int32_t classes() { return tfodl::classes_in_use(head); }
