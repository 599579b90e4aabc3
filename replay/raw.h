/*
 * System calls without the C library: no errno, no cancellation point, and from one known place
 * (raw.c), so that the trap's filter lets them through. Any thread; safe in signal handlers.
 */
#ifndef REPLAY_RAW_H
#define REPLAY_RAW_H

#include <stdint.h>
#include <sys/syscall.h>
#include <time.h>

/* Returns what the kernel returns: a value, or a negative errno. */
long hakr_raw(long nr, long a, long b, long c, long d, long e, long f);

/* The address that the kernel sees as the caller's in hakr_raw. */
extern const char hakr_raw_ip[];

/* CLOCK_MONOTONIC in ns. */
static inline uint64_t hakr_now(void) {
    struct timespec ts;
    clock_gettime(CLOCK_MONOTONIC, &ts);
    return (uint64_t)ts.tv_sec * 1000000000u + (uint64_t)ts.tv_nsec;
}

/* CPU time of the calling thread in ns. A system call; ours passes the trap. */
static inline uint64_t hakr_cpu_now(void) {
    struct timespec ts = {0, 0};
    hakr_raw(SYS_clock_gettime, CLOCK_THREAD_CPUTIME_ID, (long)&ts, 0, 0, 0, 0);
    return (uint64_t)ts.tv_sec * 1000000000u + (uint64_t)ts.tv_nsec;
}

#endif
