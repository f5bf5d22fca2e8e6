// As hot.h, for files whose loops are in assembly or seldom run: small even where the rest is compiled with -O2.
#ifndef TFODL_DETAIL_COLD_H
#define TFODL_DETAIL_COLD_H
#if defined(__GNUC__) && !defined(__clang__) && defined(__OPTIMIZE__)
#pragma GCC optimize("Os")
#endif

#endif  // TFODL_DETAIL_COLD_H
