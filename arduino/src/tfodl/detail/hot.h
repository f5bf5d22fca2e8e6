// First include of every file whose loops matter: Arduino compiles all code with -Os and offers no way to
// change that for a library.
#ifndef TFODL_DETAIL_HOT_H
#define TFODL_DETAIL_HOT_H
#if defined(__GNUC__) && !defined(__clang__) && defined(__OPTIMIZE__)
#pragma GCC optimize("O3")
#endif

#endif  // TFODL_DETAIL_HOT_H
