/* Page faults: in a row and alone, on fresh frames and on used ones. */
#include "sim/calibrate_int.h"

#include <errno.h>
#include <sys/mman.h>

#include <string.h>
#include <sys/resource.h>

#define RUN         64u    /* faults in a row */
#define RUNS        16u    /* of fresh ones, in a round */
#define HUGE_TRIES  4u     /* of huge ones */
#define RUN_MOST_NS 20000u /* a fault: more, and something else ran */

/* ---- faults --------------------------------------------------------------------------------- */

/* Sums of runs of faults: the first of each, and the others. A run in which something else took
 * the processor is left out. */
struct runs {
    uint64_t first_ns, next_ns, n, next;
};

/* `pages` faults in a row at p, none of which is resident. */
static void one_run(struct haks_bench *b, char *p, unsigned pages, struct runs *r) {
    uint64_t start = haks_bench_now(), first, next = 0;
    haks_bench_touch(b, p, 1);
    first = haks_bench_since(b, start);
    if (pages > 1) {
        start = haks_bench_now();
        haks_bench_touch(b, p + b->page, pages - 1);
        next = haks_bench_since(b, start);
    }
    if (first + next > (uint64_t)pages * RUN_MOST_NS + RUN_MOST_NS)
        return;
    r->first_ns += first;
    r->next_ns += next;
    r->n++;
    r->next += pages - 1;
}

static uint32_t mean(uint64_t ns, uint64_t n) {
    return n > 0 ? (uint32_t)(ns / n) : 0;
}

/* A fault, and a page of a populating call of call_ns, on frames that were used `bytes` ago. */
static void used_frames(struct haks_bench *b, size_t bytes, uint32_t call_ns, uint32_t *fault_ns,
                        uint32_t *populate_ns) {
    struct runs r = {0};
    uint64_t populate[HAKS_TRIES], ns;
    for (unsigned i = 0; i < HAKS_TRIES; i++) {
        haks_bench_touch(b, b->pool, RUN);
        haks_bench_dontneed(b, b->pool, RUN);
        haks_bench_work(b, (unsigned)(bytes / HAKS_LINE));
        one_run(b, b->pool, RUN, &r);
        haks_bench_dontneed(b, b->pool, RUN);
        haks_bench_work(b, (unsigned)(bytes / HAKS_LINE));
        haks_bench_touch(b, b->pool + RUN * b->page, 1); /* the entry; it takes one of the frames */
        populate[i] = haks_bench_populate_write(b, b->pool, RUN - 1);
        haks_bench_dontneed(b, b->pool, RUN + 1);
    }
    *fault_ns = mean(r.next_ns, r.next);
    ns = haks_bench_quantile(populate, HAKS_TRIES, 2);
    *populate_ns = ns > call_ns ? (uint32_t)((ns - call_ns) / (RUN - 1)) : 0;
}

/* `n` runs on the fresh frames at *p, each after work over `bytes`. */
static struct runs fresh_runs(struct haks_bench *b, char **p, unsigned pages, size_t bytes,
                              unsigned n) {
    struct runs r = {0};
    for (unsigned i = 0; i < n; i++) {
        haks_bench_work(b, (unsigned)(bytes / HAKS_LINE));
        one_run(b, *p, pages, &r);
        *p += (pages + 1) * b->page;
    }
    return r;
}

/* What a fault that comes alone, after work over `bytes`, costs above one in a row. */
static uint32_t entry(struct haks_bench *b, char **p, uint32_t fault_ns, size_t bytes, unsigned n) {
    struct runs r = fresh_runs(b, p, 1, bytes, n);
    uint32_t ns = mean(r.first_ns, r.n);
    return ns > fault_ns ? ns - fault_ns : 0;
}

/* Fresh frames: the pool keeps those at hand, and a sweep drives what else was used lately out of
 * the caches. */
static void measure_fresh(struct haks_bench *b, struct haks_costs *c) {
    size_t length = (RUNS * (RUN + 1) + 2 * 37 * RUNS) * b->page;
    char *p = haks_bench_fresh(b, length);
    if (p == NULL)
        return;
    haks_bench_touch(b, b->pool, HAKS_POOL_PAGES);
    memset(b->work, 1, HAKS_SWEEP);
    struct runs r = fresh_runs(b, &p, RUN, (size_t)64 << 10, RUNS);
    c->fault_ns = mean(r.next_ns, r.next);
    /* in the middle of what each price is taken for */
    c->entry_ns = entry(b, &p, c->fault_ns, (size_t)8 << 10, 16 * RUNS);
    c->entry_16k_ns = entry(b, &p, c->fault_ns, (size_t)48 << 10, 16 * RUNS);
    c->entry_128k_ns = entry(b, &p, c->fault_ns, (size_t)512 << 10, 4 * RUNS);
    c->entry_2m_ns = entry(b, &p, c->fault_ns, (size_t)8 << 20, RUNS);
}

/* What each page costs when it is given back right after it came. */
static uint32_t hot_page(struct haks_bench *b) {
    uint64_t ns[2][4 * HAKS_TRIES], less, more;
    for (unsigned i = 0; i < 4 * HAKS_TRIES; i++) {
        for (unsigned s = 0; s < 2; s++) {
            haks_bench_touch(b, b->pool, (s + 1) * RUN);
            ns[s][i] = haks_bench_dontneed(b, b->pool, (s + 1) * RUN);
        }
    }
    less = haks_bench_quantile(ns[0], 4 * HAKS_TRIES, 2);
    more = haks_bench_quantile(ns[1], 4 * HAKS_TRIES, 2);
    return more > less ? (uint32_t)((more - less) / RUN) : 0;
}

/* What the system makes of advice to use huge pages; where it gives none, their small ones. */
static uint32_t huge_fault(struct haks_bench *b, uint32_t fault_ns) {
    const size_t huge = (size_t)2 << 20;
    uint64_t ns[HUGE_TRIES];
    char *p = haks_bench_fresh(b, (HUGE_TRIES + 1) * huge);
    struct rusage before, after;
    if (p == NULL)
        return 0;
    p += -(uintptr_t)p & (huge - 1);
    madvise(p, HUGE_TRIES * huge, MADV_HUGEPAGE); /* a kernel without them refuses */
    getrusage(RUSAGE_SELF, &before);
    for (unsigned i = 0; i < HUGE_TRIES; i++) {
        haks_bench_work(b, HAKS_CALL_STEPS);
        uint64_t start = haks_bench_now();
        haks_bench_touch(b, p + i * huge, 1);
        ns[i] = haks_bench_since(b, start);
        haks_bench_touch(b, p + i * huge + b->page, 1);
    }
    getrusage(RUSAGE_SELF, &after);
    if (after.ru_minflt - before.ru_minflt >= 2 * HUGE_TRIES)
        return (uint32_t)(huge / b->page * fault_ns);
    return (uint32_t)haks_bench_quantile(ns, HUGE_TRIES, 2);
}

void haks_bench_faults(struct haks_bench *b, struct haks_costs *c) {
    measure_fresh(b, c);
    haks_bench_check(b, madvise(b->pool, HAKS_POOL_PAGES * b->page, MADV_DONTNEED) != 0);
    used_frames(b, (size_t)512 << 10, c->populate_call_ns, &c->hot_fault_ns, &c->hot_populate_ns);
    used_frames(b, (size_t)6 << 20, c->populate_call_ns, &c->warm_fault_ns, &c->warm_populate_ns);
    c->hot_page_ns = hot_page(b);
    c->huge_fault_ns = huge_fault(b, c->fault_ns);
}
