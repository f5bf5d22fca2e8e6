// As hot.h, for files whose loops are in assembly or seldom run: small even where the rest is compiled with -O2.
#pragma once
#if defined(__GNUC__) && !defined(__clang__) && defined(__OPTIMIZE__)
#pragma GCC optimize("Os")
#endif
