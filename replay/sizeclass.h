/*
 * Sizes in classes for tables of ops: up to 16 bytes, then by powers of two to 64 MiB, then all
 * that is larger. Pure; any thread; safe in a signal handler.
 */
#ifndef REPLAY_SIZECLASS_H
#define REPLAY_SIZECLASS_H

#include <stdint.h>

#define HAKR_SIZE_CLASSES 24u

/* 0 for 0..16, 1 for 17..32, ... 22 for up to 64 MiB, 23 for more. */
static inline unsigned hakr_size_class(uint64_t size) {
    if (size <= 16)
        return 0;
    unsigned c = 60u - (unsigned)__builtin_clzll(size - 1);
    return c < HAKR_SIZE_CLASSES ? c : HAKR_SIZE_CLASSES - 1;
}

/* The largest size of a class; UINT64_MAX for the last. */
static inline uint64_t hakr_size_class_max(unsigned c) {
    return c + 1 >= HAKR_SIZE_CLASSES ? UINT64_MAX : UINT64_C(16) << c;
}

#endif
