/*
 * What benchmarks say of their own process: its peak memory, and the allocator that it really ran
 * on.
 */
#ifndef BENCH_PROCESS_H
#define BENCH_PROCESS_H

#include <stdbool.h>
#include <stdint.h>

uint64_t bench_now_ns(void);

/* The peak of this program's own memory: ru_maxrss would carry over what stood before exec. */
bool bench_peak_kib(uint64_t *kib);

/* The file that malloc resolved into, so that a preload that did not load is seen. */
const char *bench_malloc_library(void);

/* To stdout, with its quotes. */
void bench_print_json_string(const char *s);

#endif
