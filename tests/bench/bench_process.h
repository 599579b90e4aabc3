/*
 * What the benchmarks that run under any preload share: their threads, their arguments, and what
 * they say of their own process (its peak memory, and the allocator that it really ran on).
 */
#ifndef BENCH_PROCESS_H
#define BENCH_PROCESS_H

#include <argp.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define BENCH_MAX_THREADS 1024

uint64_t bench_now_ns(void);

/* A whole number for an option or argument; a usage error (which exits) if it is none or lies
 * outside min..max. */
uint64_t bench_parse_count(struct argp_state *state, const char *name, const char *text,
                           uint64_t min, uint64_t max);

/*
 * Runs work(worker) in n threads at once, over an array of workers of `size` bytes each, and waits
 * for all of them. One thread runs in the caller itself: a second thread would cost allocators
 * their single-threaded path. -1 after a message if a thread cannot be had; those that wait for
 * it then end with the process.
 */
int bench_run_threads(uint64_t n, void *(*work)(void *), void *workers, size_t size);

/* The peak of this program's own memory: ru_maxrss would carry over what stood before exec. */
bool bench_peak_kib(uint64_t *kib);

/* The file that malloc resolved into, so that a preload that did not load is seen. */
const char *bench_malloc_library(void);

/* To stdout, with its quotes. */
void bench_print_json_string(const char *s);

#endif
