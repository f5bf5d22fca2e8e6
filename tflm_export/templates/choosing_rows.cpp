tfodl::Parameter chosen_rows() { return tfodl::pool_rows(pool); }
void forget_chosen() { tfodl::pool_forgets(pool); }

