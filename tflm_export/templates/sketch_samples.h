
// A memory in flash wants a save before it replaces more saved samples than it has room for.
inline StoreStatus save_all();
inline void make_room() {
  if (net::changes_left() > 0) return;
$judge  save_all();
}
