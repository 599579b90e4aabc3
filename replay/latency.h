/*
 * Latency of single ops: what the latency pass keeps and what becomes of it.
 *
 * Each thread has, in shared memory, a histogram for each kind of op and size class (of ticks) and
 * a list of its slowest ops. The parent merges them over threads, in picoseconds: two roundings of
 * at most 0.4 % each, so a quantile is within 1 % of the true one.
 */
#ifndef REPLAY_LATENCY_H
#define REPLAY_LATENCY_H

#include <stddef.h>
#include <stdint.h>
#include "common/err.h"
#include "common/hist.h"
#include "replay/plan.h"
#include "replay/sizeclass.h"

struct hakr_ctl;

enum hakr_latency_op {
    HAKR_LAT_MALLOC,
    HAKR_LAT_CALLOC,
    HAKR_LAT_REALLOC, /* and reallocarray, of NULL too */
    HAKR_LAT_ALIGNED, /* memalign, aligned_alloc, posix_memalign, valloc, pvalloc */
    HAKR_LAT_FREE,    /* of NULL too */
    HAKR_LAT_COUNT
};

#define HAKR_LATENCY_CELLS ((unsigned)HAKR_LAT_COUNT * HAKR_SIZE_CLASSES)

static inline unsigned hakr_latency_cell(enum hakr_latency_op op, unsigned size_class) {
    return (unsigned)op * HAKR_SIZE_CLASSES + size_class;
}

/* "malloc", ..., "aligned". */
const char *hakr_latency_name(unsigned op);

/* One of the slowest ops. */
struct hakr_slow {
    uint64_t ticks; /* in a result: ps */
    uint64_t op;    /* counted from 0 in its thread */
    uint64_t size;
    uint32_t thread;
    uint32_t kind; /* enum hakr_kind */
};

/* The latencies of one run or of several, in ps. */
struct hakr_latency {
    struct hakc_hist *cells[HAKR_LATENCY_CELLS]; /* NULL = no such op */
    uint64_t backwards;                          /* see hakr_shm_thread; counted as 0 */
    int tsc;                                     /* the clock: 1 = time stamp counter */
    double tick_ps, stamp_ps;
    double step_ps;            /* the clock goes in such steps; 0 = not known */
    struct hakr_slow *slowest; /* slowest first */
    uint32_t n_slowest, max_slowest;
};

/* Reads what the child left in its control block (fd, mapped at c). Owned by the caller. */
int hakr_latency_collect(struct hakr_ctl *c, int fd, struct hakr_latency **out,
                         struct hakc_err *err);

/* Adds `from` to `l`. */
int hakr_latency_add(struct hakr_latency *l, const struct hakr_latency *from, struct hakc_err *err);

/* An empty one that keeps the `slowest` slowest ops. NULL if out of memory. */
struct hakr_latency *hakr_latency_new(uint32_t slowest);
void hakr_latency_free(struct hakr_latency *l);

/* Merges into h (which the caller has initialised) all cells of an op; HAKR_LAT_COUNT = of all. */
void hakr_latency_sum(const struct hakr_latency *l, unsigned op, struct hakc_hist *h);

#endif
