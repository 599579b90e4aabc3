/*
 * Time stamps around an op: the processor's time stamp counter where it is invariant (it goes on at
 * one rate in all states), else CLOCK_MONOTONIC. Serialised on both sides, so that what is measured
 * neither starts before nor ends after. Any thread.
 */
#ifndef REPLAY_TICK_H
#define REPLAY_TICK_H

#include <cpuid.h>
#include <stdint.h>
#include <x86intrin.h>
#include "replay/raw.h"

/* Whether the counter can be used. */
static inline int hakr_tick_has_tsc(void) {
    unsigned a, b, c, d;
    return __get_cpuid(0x80000007u, &a, &b, &c, &d) != 0 && (d & 1u << 8) != 0;
}

/* The fence before waits for what came before, the one behind keeps off what follows. */
static inline __attribute__((__always_inline__)) uint64_t hakr_tick(const int tsc) {
    if (!tsc)
        return hakr_now();
    _mm_lfence();
    uint64_t t = __rdtsc();
    _mm_lfence();
    return t;
}

#endif
