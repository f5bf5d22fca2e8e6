// First include of every file whose loops matter: Arduino compiles all code with -Os and offers no way to
// change that for a library.
#pragma once
#if defined(__GNUC__) && !defined(__clang__) && defined(__OPTIMIZE__)
#pragma GCC optimize("O3")
#endif
