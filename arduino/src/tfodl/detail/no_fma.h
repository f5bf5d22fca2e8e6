// First include of every file with float arithmetic: a product is rounded before it is added (no fused multiply-add),
// so that every machine and every compiler's default gives the same bits.
#pragma once
#if defined(__clang__)
#pragma clang fp contract(off)
#elif defined(__GNUC__)
#pragma GCC optimize("fp-contract=off")
#endif
