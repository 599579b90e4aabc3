/* Page faults: in a row and alone, on fresh frames and on used ones. */
#include "sim/calibrate_int.h"

#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>

#define RUN         64u    /* faults in a row */
#define RUNS        48u    /* of fresh ones, in a round */
#define ALONE       4u     /* faults that come alone, of each kind, after a run */
#define SELDOM      6u     /* runs to a fault after 8 MiB */
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

/* A run on the fresh frames at *p, after work over `bytes`. */
static void fresh_run(struct haks_bench *b, char **p, unsigned pages, size_t bytes,
                      struct runs *r) {
    haks_bench_work(b, (unsigned)(bytes / HAKS_LINE));
    one_run(b, *p, pages, r);
    *p += (pages + 1) * b->page;
}

/* What a fault that comes alone costs above one in a row. */
static uint32_t entry(const struct runs *alone, uint32_t fault_ns) {
    uint32_t ns = mean(alone->first_ns, alone->n);
    return ns > fault_ns ? ns - fault_ns : 0;
}

/* In turn, since frames come the quicker, the more of them came before. The work before a fault
 * that comes alone is in the middle of what its price is taken for. */
void haks_bench_fresh_faults(struct haks_bench *b, struct haks_costs *c) {
    struct runs row = {0}, near = {0}, far_16k = {0}, far_128k = {0}, far_2m = {0};
    char *p = haks_bench_fresh(b, RUNS * (RUN + 1 + 2 * (2 * ALONE + 2)) * b->page);
    if (p == NULL)
        return;
    memset(b->work, 1, HAKS_WORK_BYTES);
    for (unsigned i = 0; i < RUNS; i++) {
        fresh_run(b, &p, RUN, (size_t)64 << 10, &row);
        for (unsigned k = 0; k < ALONE; k++) {
            fresh_run(b, &p, 1, (size_t)8 << 10, &near);
            fresh_run(b, &p, 1, (size_t)48 << 10, &far_16k);
        }
        fresh_run(b, &p, 1, (size_t)512 << 10, &far_128k);
        if (i % SELDOM == 0)
            fresh_run(b, &p, 1, (size_t)8 << 20, &far_2m);
    }
    c->fault_ns = mean(row.next_ns, row.next);
    c->entry_ns = entry(&near, c->fault_ns);
    c->entry_16k_ns = entry(&far_16k, c->fault_ns);
    c->entry_128k_ns = entry(&far_128k, c->fault_ns);
    c->entry_2m_ns = entry(&far_2m, c->fault_ns);
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
void haks_bench_huge_fault(struct haks_bench *b, struct haks_costs *c) {
    const size_t huge = (size_t)2 << 20;
    uint64_t ns[HUGE_TRIES];
    char *p = haks_bench_fresh(b, (HUGE_TRIES + 1) * huge);
    struct rusage before, after;
    if (p == NULL)
        return;
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
        c->huge_fault_ns = (uint32_t)(huge / b->page * c->fault_ns);
    else
        c->huge_fault_ns = (uint32_t)haks_bench_quantile(ns, HUGE_TRIES, 2);
}

void haks_bench_used_faults(struct haks_bench *b, struct haks_costs *c) {
    haks_bench_check(b, madvise(b->pool, HAKS_POOL_PAGES * b->page, MADV_DONTNEED) != 0);
    used_frames(b, (size_t)512 << 10, c->populate_call_ns, &c->hot_fault_ns, &c->hot_populate_ns);
    used_frames(b, (size_t)6 << 20, c->populate_call_ns, &c->warm_fault_ns, &c->warm_populate_ns);
    c->hot_page_ns = hot_page(b);
}
