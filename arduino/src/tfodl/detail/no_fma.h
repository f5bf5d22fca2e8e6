// First include of every file with float arithmetic: a product is rounded before it is added (no fused multiply-add),
// so that every machine and every compiler's default gives the same bits.
#ifndef TFODL_DETAIL_NO_FMA_H
#define TFODL_DETAIL_NO_FMA_H
#if defined(__clang__)
#pragma clang fp contract(off)
#elif defined(__GNUC__)
#pragma GCC optimize("fp-contract=off")
#endif

#endif  // TFODL_DETAIL_NO_FMA_H
