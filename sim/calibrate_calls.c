/* The calls: one price beside their pages, one a page. */
#include "sim/calibrate_int.h"

#include <sys/mman.h>

#ifndef MADV_POPULATE_WRITE
#define MADV_POPULATE_WRITE 23
#endif

#define SIZES      6
#define SIZE_MOST  256u               /* pages of the longest call */
#define MAP_STEPS  16384u             /* 1 MiB */
#define SPAN_BYTES ((size_t)64 << 20) /* of a reservation */

static const unsigned sizes[SIZES] = {1, 4, 16, 32, 64, SIZE_MOST};

/* ---- one call over `pages` resident pages at p: its time ------------------------------------ */

uint64_t haks_bench_dontneed(struct haks_bench *b, char *p, unsigned pages) {
    uint64_t start = haks_bench_now();
    haks_bench_check(b, madvise(p, pages * b->page, MADV_DONTNEED) != 0);
    return haks_bench_since(b, start);
}

static uint64_t do_free(struct haks_bench *b, char *p, unsigned pages) {
    uint64_t start = haks_bench_now();
    haks_bench_check(b, madvise(p, pages * b->page, MADV_FREE) != 0);
    return haks_bench_since(b, start);
}

/* Over pages that were marked before and touched again since. */
static uint64_t do_free_again(struct haks_bench *b, char *p, unsigned pages) {
    do_free(b, p, pages);
    haks_bench_touch(b, p, pages);
    haks_bench_work(b, HAKS_CALL_STEPS);
    return do_free(b, p, pages);
}

static uint64_t do_unmap(struct haks_bench *b, char *p, unsigned pages) {
    uint64_t start = haks_bench_now(), ns;
    haks_bench_check(b, mmap(p, pages * b->page, PROT_NONE,
                             MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_FIXED, -1,
                             0) == MAP_FAILED);
    ns = haks_bench_since(b, start);
    haks_bench_check(b, mprotect(p, pages * b->page, PROT_READ | PROT_WRITE) != 0);
    return ns;
}

/* Here the pages are not resident before. */
uint64_t haks_bench_populate_write(struct haks_bench *b, char *p, unsigned pages) {
    uint64_t start = haks_bench_now();
    haks_bench_check(b, madvise(p, pages * b->page, MADV_POPULATE_WRITE) != 0);
    return haks_bench_since(b, start);
}

/* To a place that was never used, as an object grows. */
static uint64_t do_move(struct haks_bench *b, char *p, unsigned pages) {
    size_t bytes = pages * b->page;
    uint64_t start = haks_bench_now(), ns;
    haks_bench_check(b, mremap(p, bytes, bytes, MREMAP_MAYMOVE | MREMAP_FIXED | MREMAP_DONTUNMAP,
                               b->to) == MAP_FAILED);
    ns = haks_bench_since(b, start);
    b->to += bytes + b->page;
    return ns;
}

typedef uint64_t call_fn(struct haks_bench *b, char *p, unsigned pages);

/*
 * A call's price beside its pages, and a page's: the line through the medians of the sizes that
 * makes the sum of the squares of the relative errors least, so that short calls, which are the
 * most, count as much as long ones. flush_ns: what each page of a short call costs besides.
 */
static void fit(const uint64_t *ns, uint32_t flush_ns, uint32_t *call_ns, uint32_t *page_ns) {
    double w = 0, wx = 0, wy = 0, wxx = 0, wxy = 0;
    for (unsigned i = 0; i < SIZES; i++) {
        uint64_t flush = sizes[i] <= HAKS_FLUSH_PAGES ? (uint64_t)sizes[i] * flush_ns : 0;
        double x = sizes[i], y = ns[i] > flush ? (double)(ns[i] - flush) : 1, weight = 1 / (y * y);
        w += weight;
        wx += weight * x;
        wy += weight * y;
        wxx += weight * x * x;
        wxy += weight * x * y;
    }
    double slope = (w * wxy - wx * wy) / (w * wxx - wx * wx), base = (wy - slope * wx) / w;
    *page_ns = slope > 0 ? (uint32_t)(slope + 0.5) : 0;
    *call_ns = base > 0 ? (uint32_t)(base + 0.5) : 0;
}

/* The sizes in turn, each call over the next pages from p on: so it meets pages that were touched a
 * while ago. */
static void time_calls(struct haks_bench *b, call_fn *call, char *p, uint64_t medians[SIZES]) {
    uint64_t ns[SIZES][HAKS_TRIES];
    for (unsigned i = 0; i < HAKS_TRIES; i++) {
        for (unsigned s = 0; s < SIZES; s++) {
            haks_bench_work(b, HAKS_CALL_STEPS);
            ns[s][i] = call(b, p, sizes[s]);
            p += (sizes[s] + 1) * b->page; /* one stays between them: no call meets a hole */
        }
    }
    for (unsigned s = 0; s < SIZES; s++)
        medians[s] = haks_bench_quantile(ns[s], HAKS_TRIES, 2);
}

/* The pool's pages, all of them touched. */
static char *touched_pool(struct haks_bench *b) {
    haks_bench_pool(b, b->pool);
    b->to = haks_bench_pool(b, b->target);
    haks_bench_touch(b, b->pool, HAKS_POOL_PAGES);
    return b->pool;
}

static void measure_call(struct haks_bench *b, call_fn *call, uint32_t flush_ns, uint32_t *call_ns,
                         uint32_t *page_ns) {
    uint64_t medians[SIZES];
    time_calls(b, call, touched_pool(b), medians);
    fit(medians, flush_ns, call_ns, page_ns);
}

/* Up to 33 pages are forgotten one by one, more all at once: what 32 pages cost above the line
 * through 64 and 256 is that. */
static void measure_flush(struct haks_bench *b, struct haks_costs *c) {
    uint64_t ns[SIZES], page, line;
    time_calls(b, haks_bench_dontneed, touched_pool(b), ns);
    page = ns[5] > ns[4] ? (ns[5] - ns[4]) / (sizes[5] - sizes[4]) : 0;
    line = ns[4] > 32 * page ? ns[4] - 32 * page : 0;
    c->flush_page_ns = ns[3] > line ? (uint32_t)((ns[3] - line) / sizes[3]) : 0;
    fit(ns, c->flush_page_ns, &c->dontneed_call_ns, &c->dontneed_page_ns);
}

void haks_bench_populate(struct haks_bench *b, struct haks_costs *c) {
    uint64_t medians[SIZES];
    char *p = haks_bench_fresh(b, HAKS_POOL_PAGES * b->page);
    if (p == NULL)
        return;
    time_calls(b, haks_bench_populate_write, p, medians);
    fit(medians, 0, &c->populate_call_ns, &c->populate_page_ns);
}

void haks_bench_calls(struct haks_bench *b, struct haks_costs *c) {
    uint32_t again_call_ns;
    measure_flush(b, c);
    measure_call(b, do_free, c->flush_page_ns, &c->free_call_ns, &c->free_page_ns);
    measure_call(b, do_free_again, c->flush_page_ns, &again_call_ns, &c->free_again_page_ns);
    measure_call(b, do_unmap, c->flush_page_ns, &c->unmap_call_ns, &c->unmap_page_ns);
    measure_call(b, do_move, 0, &c->move_call_ns, &c->move_page_ns);
}

/* ---- address space -------------------------------------------------------------------------- */

void haks_bench_maps(struct haks_bench *b, struct haks_costs *c) {
    uint64_t map[HAKS_TRIES], commit[HAKS_TRIES];
    for (unsigned i = 0; i < HAKS_TRIES; i++) {
        haks_bench_work(b, MAP_STEPS);
        uint64_t start = haks_bench_now();
        char *p =
            mmap(NULL, SPAN_BYTES, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
        map[i] = haks_bench_since(b, start);
        haks_bench_check(b, p == MAP_FAILED);
        if (p == MAP_FAILED)
            return;
        haks_bench_work(b, MAP_STEPS);
        start = haks_bench_now();
        haks_bench_check(b, mprotect(p, SPAN_BYTES / 2, PROT_READ | PROT_WRITE) != 0);
        commit[i] = haks_bench_since(b, start);
        munmap(p, SPAN_BYTES);
    }
    c->map_call_ns = (uint32_t)haks_bench_quantile(map, HAKS_TRIES, 2);
    c->commit_call_ns = (uint32_t)haks_bench_quantile(commit, HAKS_TRIES, 2);
}
