/*
 * Size classes: 16 bytes apart up to 1 KiB (so the class of a small size is a shift), then eight to
 * a doubling up to 64 KiB: the waste is at most 15 bytes below 128, and below 12.5 % from there on.
 */
#ifndef ALLOC_CLASSES_H
#define ALLOC_CLASSES_H

#include <stddef.h>
#include <stdint.h>

#define HAK_FINE_MAX     ((size_t)1024)
#define HAK_FINE_CLASSES 64u                           /* classes 1..64: 16, 32, ... 1024 */
#define HAK_CLASSES      (1u + HAK_FINE_CLASSES + 48u) /* class 0 stays empty */

/* The class of a size from 1 to HAK_MEDIUM_MAX. */
static inline unsigned hak_class_of(size_t n) {
    if (n <= HAK_FINE_MAX)
        return (unsigned)((n + 15) >> 4);
    unsigned top = 63u - (unsigned)__builtin_clzll(n - 1); /* 2^top < n <= 2^(top+1) */
    return HAK_FINE_CLASSES + 1u + (top - 10u) * 8u + (unsigned)(((n - 1) >> (top - 3u)) & 7u);
}

/* The block size of a class from 1 to HAK_CLASSES - 1. */
static inline size_t hak_class_size(unsigned c) {
    if (c <= HAK_FINE_CLASSES)
        return (size_t)c << 4;
    unsigned k = c - HAK_FINE_CLASSES - 1u;
    unsigned top = 10u + k / 8u;
    return ((size_t)1 << top) + ((size_t)(k % 8u + 1u) << (top - 3u));
}

#endif
