/*
 * Random records that a writer accepts, for the tests of the trace library: every operation, flag
 * and edge (failures, foreign pointers, NULL, size 0, the largest sizes, alignments), many threads.
 */
#ifndef TESTS_UNIT_TRACE_RANDOM_H
#define TESTS_UNIT_TRACE_RANDOM_H

#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include "tracer/format/trace.h"

struct trace_random {
    uint64_t state;
    uint32_t threads;
    int times;
    uint64_t time, next_id;
    uint64_t *live;
    size_t nlive, cap;
};

static inline uint64_t random_next(struct trace_random *g) {
    g->state ^= g->state << 13;
    g->state ^= g->state >> 7;
    g->state ^= g->state << 17;
    return g->state;
}

static inline uint64_t random_size(struct trace_random *g) {
    uint64_t r = random_next(g);
    switch (r % 16) {
    case 0:
        return 0;
    case 1:
        return UINT64_MAX - 1 - r % 3;
    case 2:
        return random_next(g) >> (r >> 8) % 60;
    default:
        return (r >> 8) % 5000;
    }
}

/* An object to consume: 0 = NULL. Young ones more often than old ones. */
static inline uint64_t random_take(struct trace_random *g, int keep) {
    uint64_t r = random_next(g);
    if (g->nlive == 0 || r % 20 == 0)
        return 0;
    size_t window = r % 4 == 0 ? g->nlive : g->nlive < 8 ? g->nlive : 8;
    size_t i = g->nlive - 1 - (r >> 8) % window;
    uint64_t id = g->live[i];
    if (!keep)
        g->live[i] = g->live[--g->nlive];
    return id;
}

static inline void random_allocation(struct trace_random *g, struct hakt_rec *r) {
    uint64_t x = random_next(g);
    int is_realloc = r->op == HAKT_REALLOC || r->op == HAKT_REALLOCARRAY;
    r->size = random_size(g);
    if (r->op == HAKT_MEMALIGN || r->op == HAKT_ALIGNED_ALLOC || r->op == HAKT_POSIX_MEMALIGN)
        r->align_log2 = (uint8_t)(x >> 40) % 64;
    if (x % 50 == 0) {
        r->flags = HAKT_REC_FAILED;
        if (x % 100 == 0)
            r->size = UINT64_MAX;
    } else if (is_realloc && x % 50 == 1) {
        r->flags = HAKT_REC_UNFINISHED;
    } else if (r->size == 0 && x % 2 == 0) {
        r->id = 0; /* gave back nothing */
    } else {
        r->id = g->next_id++;
    }
    if (is_realloc && x % 50 == 2 + 50 / 2)
        r->flags |= HAKT_REC_FOREIGN;
    else if (is_realloc)
        r->old_id = random_take(g, (r->flags & HAKT_REC_FAILED) != 0);
    if (r->id != 0) {
        if (g->nlive == g->cap) {
            g->cap = g->cap * 2 + 64;
            g->live = realloc(g->live, g->cap * sizeof(*g->live));
        }
        g->live[g->nlive++] = r->id;
    }
}

static inline struct hakt_rec random_record(struct trace_random *g) {
    static const uint8_t rare[] = {
        HAKT_CALLOC,         HAKT_REALLOC, HAKT_REALLOCARRAY, HAKT_MEMALIGN,     HAKT_ALIGNED_ALLOC,
        HAKT_POSIX_MEMALIGN, HAKT_VALLOC,  HAKT_PVALLOC,      HAKT_THREAD_START, HAKT_THREAD_END};
    uint64_t x = random_next(g);
    struct hakt_rec r = {.thread = (uint32_t)((x >> 32) % g->threads)};
    if (g->times)
        g->time += x % 7 == 0 ? 0 : x % 1000 == 1 ? x >> 30 : x >> 56;
    r.time = g->time;
    r.op = x % 8 == 0 ? rare[(x >> 8) % sizeof(rare)] : x % 8 < 5 ? HAKT_MALLOC : HAKT_FREE;
    if (r.op == HAKT_THREAD_START || r.op == HAKT_THREAD_END)
        return r;
    if (r.op != HAKT_FREE) {
        random_allocation(g, &r);
        return r;
    }
    if (x % 64 == 7)
        r.flags |= HAKT_REC_FOREIGN;
    else
        r.old_id = random_take(g, 0);
    if (x % 64 == 15)
        r.flags |= HAKT_REC_IMPLIED;
    return r;
}

/* n records, owned by the caller. */
static inline struct hakt_rec *random_records(uint64_t seed, size_t n, uint32_t threads,
                                              int times) {
    struct trace_random g = {
        .state = seed * 2654435769u + 1, .threads = threads, .times = times, .next_id = 1};
    struct hakt_rec *recs = malloc(n * sizeof(*recs));
    for (size_t i = 0; i < n; i++)
        recs[i] = random_record(&g);
    free(g.live);
    return recs;
}

/* A file name of its own in $TMPDIR or /tmp; the caller removes the file. */
static inline void scratch_path(char path[256], const char *name) {
    const char *dir = getenv("TMPDIR");
    snprintf(path, 256, "%s/hak-%s-%ld.zst", dir != NULL ? dir : "/tmp", name, (long)getpid());
}

#endif
