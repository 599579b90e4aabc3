/*
 * Histogram of 64-bit values with a bounded relative error and fixed memory: log-linear, 128
 * equal buckets in each power of two. Values below 256 are exact; above, a bucket is at most 1/128
 * of its value wide, so that a value told from the middle of its bucket is off by less than 0.4 %.
 * (The idea is Gil Tene's HdrHistogram.)
 *
 * The struct holds everything (about 58 KiB): it may lie in shared memory, and zeroed memory is
 * not yet a histogram: call hakc_hist_init. Recording allocates nothing and is inline. Not
 * synchronised: one histogram a thread, then merge.
 */
#ifndef COMMON_HIST_H
#define COMMON_HIST_H

#include <stddef.h>
#include <stdint.h>

#define HAKC_HIST_SUB_BITS 7
#define HAKC_HIST_SUB      (1u << HAKC_HIST_SUB_BITS)
#define HAKC_HIST_BUCKETS  ((64 - HAKC_HIST_SUB_BITS + 1) * HAKC_HIST_SUB)

struct hakc_hist {
    uint64_t count;
    uint64_t min, max;     /* exact; UINT64_MAX and 0 while empty */
    unsigned __int128 sum; /* exact */
    uint64_t bucket[HAKC_HIST_BUCKETS];
};

void hakc_hist_init(struct hakc_hist *h);

/* The bucket of a value, and the lowest value and the width of a bucket. */
static inline unsigned hakc_hist_index(uint64_t v) {
    if (v < HAKC_HIST_SUB)
        return (unsigned)v;
    unsigned shift = 63u - (unsigned)__builtin_clzll(v) - HAKC_HIST_SUB_BITS;
    return shift * HAKC_HIST_SUB + (unsigned)(v >> shift);
}
uint64_t hakc_hist_low(unsigned index);
uint64_t hakc_hist_width(unsigned index);

static inline void hakc_hist_add(struct hakc_hist *h, uint64_t v) {
    h->bucket[hakc_hist_index(v)]++;
    h->count++;
    h->sum += v;
    if (v < h->min)
        h->min = v;
    if (v > h->max)
        h->max = v;
}

/* Adds n equal values. */
void hakc_hist_add_n(struct hakc_hist *h, uint64_t v, uint64_t n);

/* Adds all of `from`: the same as having recorded its values here. */
void hakc_hist_merge(struct hakc_hist *h, const struct hakc_hist *from);

/* The value at fraction q (0..1) of the sorted values: the smallest recorded value v such that at
 * least q * count of the values are <= v (nearest rank), to the error above; q = 0 and 1 give the
 * exact min and max. 0 while empty: ask count first. */
uint64_t hakc_hist_quantile(const struct hakc_hist *h, double q);

/* Exact; 0 while empty. */
double hakc_hist_mean(const struct hakc_hist *h);

#endif
