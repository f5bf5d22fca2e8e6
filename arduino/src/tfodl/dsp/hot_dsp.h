// First include of the files around the assembly: as hot.h, but -O3 only makes these larger.
#ifndef TFODL_DSP_HOT_DSP_H
#define TFODL_DSP_HOT_DSP_H
#if defined(__GNUC__) && !defined(__clang__) && defined(__OPTIMIZE__)
#pragma GCC optimize("O2")
#endif

#endif  // TFODL_DSP_HOT_DSP_H
