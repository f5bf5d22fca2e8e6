
// Classes in use: the first ones. A train_step() or remember() with the label classes() opens the next spare one by
// its first picture; any label above is refused. Until then predict() never says it, and no step moves it.
constexpr int32_t kSpareClasses = $spare;
int32_t classes();
