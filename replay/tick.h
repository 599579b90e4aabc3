/*
 * Time stamps around an op: the processor's time stamp counter where it is invariant (it goes on at
 * one rate in all states), else CLOCK_MONOTONIC. Serialised on both sides, so that what is measured
 * neither starts before nor ends after. Any thread.
 */
#ifndef REPLAY_TICK_H
#define REPLAY_TICK_H

#include <stdint.h>
#include <x86intrin.h>
#include "replay/raw.h"

/* Whether the counter is the clock, or why it is not: *why is a constant, "" if it is. The
 * processor must call it invariant, and the kernel must still offer it as a clock of its own: it
 * takes one away that it has caught running apart. root stands before "/sys": "" but in tests. */
int hakr_tick_choose(const char *root, const char **why);

/* The decision itself; available: the kernel's list of clocks, or NULL where there is none. */
int hakr_tick_decide(int invariant, const char *available, const char **why);

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
