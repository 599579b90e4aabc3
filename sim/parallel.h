/* Independent pieces of work on several threads. */
#ifndef SIM_PARALLEL_H
#define SIM_PARALLEL_H

#include <stddef.h>

/*
 * Calls work(ctx, i) for i in 0..n-1, each once, on `jobs` threads (0 = one a core) of which the
 * caller is one. Begins no further piece once *stop (NULL = never) is nonzero. Returns when all
 * pieces that were begun are done. If no further thread can be had, those that there are do it.
 * label: of a progress line, in `unit`s; NULL = none.
 */
void haks_parallel(size_t n, unsigned jobs, const volatile int *stop,
                   void (*work)(void *ctx, size_t i), void *ctx, const char *label,
                   const char *unit);

#endif
