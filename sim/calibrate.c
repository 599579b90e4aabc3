#include "sim/calibrate.h"

#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#include "common/progress.h"

#ifndef MADV_POPULATE_WRITE
#define MADV_POPULATE_WRITE 23
#endif

#define ROUNDS_MOST 999
#define SIZES       6
#define SIZE_MOST   256u               /* pages of the longest call */
#define TRIES       12                 /* calls of each size in a round */
#define POOL_PAGES  4608u              /* 18 MiB come and go: enough for TRIES calls of each size */
#define WORK_BYTES  ((size_t)16 << 20) /* what a program does between two calls goes over this */
#define SWEEP_BYTES ((size_t)64 << 20) /* more than the caches keep */
#define LINE        64u                /* bytes of a cache's line: what a step of work drives */
#define CALL_STEPS  128u               /* 8 KiB: the kernel's code and data are still there */
#define MAP_STEPS   16384u             /* 1 MiB */
#define RUN         64u                /* faults in a row */
#define RUNS        16u                /* of fresh ones, in a round */
#define RUN_MOST_NS 20000u             /* a fault: more, and something else ran */
#define SPAN_BYTES  ((size_t)64 << 20) /* of a reservation */
#define OTHERS_MOST 3u                 /* further processors that are kept busy */

static const unsigned sizes[SIZES] = {1, 4, 16, 32, 64, SIZE_MOST};

struct bench {
    size_t page;
    char *pool;          /* POOL_PAGES pages, read and write */
    char *target, *to;   /* as much again, and where in it pages are moved to next */
    unsigned char *work; /* SWEEP_BYTES */
    uint64_t seed;
    uint64_t stamp_ns; /* what taking the time twice takes */
    int failed;        /* errno */
    const volatile int *stop;
};

static uint64_t now_ns(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

static int by_value(const void *a, const void *b) {
    const uint64_t *x = a, *y = b;
    return (*x > *y) - (*x < *y);
}

static uint64_t quantile(uint64_t *v, size_t n, unsigned quarter) {
    qsort(v, n, sizeof *v, by_value);
    return v[(n - 1) * quarter / 4];
}

static uint64_t since(const struct bench *b, uint64_t start) {
    uint64_t ns = now_ns() - start;
    return ns > b->stamp_ns ? ns - b->stamp_ns : 0;
}

/* As a program does between two calls: loads and stores of its own. They drive the kernel's code
 * and data out of the caches, a line a step. */
static void work(struct bench *b, unsigned steps) {
    for (unsigned i = 0; i < steps; i++) {
        b->seed = b->seed * 6364136223846793005u + 1442695040888963407u;
        b->work[(b->seed >> 40) % WORK_BYTES]++;
    }
}

static void check(struct bench *b, int failed) {
    if (failed && b->failed == 0)
        b->failed = errno;
}

static void touch(const struct bench *b, char *p, unsigned pages) {
    for (unsigned i = 0; i < pages; i++)
        *(volatile char *)(p + i * b->page) = 1;
}

/* POOL_PAGES pages, read and write, as the allocator gets its own: at p, or anywhere (NULL). */
static char *map_pool(struct bench *b, char *p) {
    size_t bytes = POOL_PAGES * b->page;
    int fixed = p != NULL ? MAP_FIXED : 0;
    p = mmap(p, bytes, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | fixed, -1, 0);
    if (p == MAP_FAILED || mprotect(p, bytes, PROT_READ | PROT_WRITE) != 0) {
        b->failed = errno;
        return NULL;
    }
    return p;
}

/* ---- one call over `pages` resident pages at p: its time ------------------------------------ */

static uint64_t do_dontneed(struct bench *b, char *p, unsigned pages) {
    uint64_t start = now_ns();
    check(b, madvise(p, pages * b->page, MADV_DONTNEED) != 0);
    return since(b, start);
}

static uint64_t do_free(struct bench *b, char *p, unsigned pages) {
    uint64_t start = now_ns();
    check(b, madvise(p, pages * b->page, MADV_FREE) != 0);
    return since(b, start);
}

static uint64_t do_unmap(struct bench *b, char *p, unsigned pages) {
    uint64_t start = now_ns(), ns;
    check(b, mmap(p, pages * b->page, PROT_NONE,
                  MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_FIXED, -1, 0) == MAP_FAILED);
    ns = since(b, start);
    check(b, mprotect(p, pages * b->page, PROT_READ | PROT_WRITE) != 0);
    return ns;
}

/* Here the pages are not resident before. */
static uint64_t do_populate(struct bench *b, char *p, unsigned pages) {
    uint64_t start = now_ns();
    check(b, madvise(p, pages * b->page, MADV_POPULATE_WRITE) != 0);
    return since(b, start);
}

/* To a place that was never used, as an object grows. */
static uint64_t do_move(struct bench *b, char *p, unsigned pages) {
    size_t bytes = pages * b->page;
    uint64_t start = now_ns(), ns;
    check(b, mremap(p, bytes, bytes, MREMAP_MAYMOVE | MREMAP_FIXED | MREMAP_DONTUNMAP, b->to) ==
                 MAP_FAILED);
    ns = since(b, start);
    b->to += bytes + b->page;
    return ns;
}

typedef uint64_t call_fn(struct bench *b, char *p, unsigned pages);

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

/* All pages of the pool are touched first (or given back: populate), then each call takes the next
 * ones, the sizes in turn: so a call meets pages that were touched a while ago. */
static void time_calls(struct bench *b, call_fn *call, uint64_t medians[SIZES]) {
    uint64_t ns[SIZES][TRIES];
    char *p = b->pool;
    map_pool(b, b->pool);
    b->to = map_pool(b, b->target);
    touch(b, b->pool, POOL_PAGES);
    if (call == do_populate) /* the pool keeps what was at hand: fresh frames */
        p = b->to;
    for (unsigned i = 0; i < TRIES; i++) {
        for (unsigned s = 0; s < SIZES; s++) {
            work(b, CALL_STEPS);
            ns[s][i] = call(b, p, sizes[s]);
            p += (sizes[s] + 1) * b->page; /* one stays between them: no call meets a hole */
        }
    }
    for (unsigned s = 0; s < SIZES; s++)
        medians[s] = quantile(ns[s], TRIES, 2);
}

static void measure_call(struct bench *b, call_fn *call, uint32_t flush_ns, uint32_t *call_ns,
                         uint32_t *page_ns) {
    uint64_t medians[SIZES];
    time_calls(b, call, medians);
    fit(medians, flush_ns, call_ns, page_ns);
}

/* Up to 33 pages are forgotten one by one, more all at once: what 32 pages cost above the line
 * through 64 and 256 is that. */
static void measure_flush(struct bench *b, struct haks_costs *c) {
    uint64_t ns[SIZES], page, line;
    time_calls(b, do_dontneed, ns);
    page = ns[5] > ns[4] ? (ns[5] - ns[4]) / (sizes[5] - sizes[4]) : 0;
    line = ns[4] > 32 * page ? ns[4] - 32 * page : 0;
    c->flush_page_ns = ns[3] > line ? (uint32_t)((ns[3] - line) / sizes[3]) : 0;
    fit(ns, c->flush_page_ns, &c->dontneed_call_ns, &c->dontneed_page_ns);
}

/* ---- faults --------------------------------------------------------------------------------- */

/* Sums of runs of faults: the first of each, and the others. A run in which something else took
 * the processor is left out. */
struct runs {
    uint64_t first_ns, next_ns, n, next;
};

/* `pages` faults in a row at p, none of which is resident. */
static void one_run(struct bench *b, char *p, unsigned pages, struct runs *r) {
    uint64_t start = now_ns(), first, next = 0;
    touch(b, p, 1);
    first = since(b, start);
    if (pages > 1) {
        start = now_ns();
        touch(b, p + b->page, pages - 1);
        next = since(b, start);
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
static void used_frames(struct bench *b, size_t bytes, uint32_t call_ns, uint32_t *fault_ns,
                        uint32_t *populate_ns) {
    struct runs r = {0};
    uint64_t populate[TRIES], ns;
    for (unsigned i = 0; i < TRIES; i++) {
        touch(b, b->pool, RUN);
        do_dontneed(b, b->pool, RUN);
        work(b, (unsigned)(bytes / LINE));
        one_run(b, b->pool, RUN, &r);
        do_dontneed(b, b->pool, RUN);
        work(b, (unsigned)(bytes / LINE));
        touch(b, b->pool + RUN * b->page, 1); /* the entry; it takes one of the frames */
        populate[i] = do_populate(b, b->pool, RUN - 1);
        do_dontneed(b, b->pool, RUN + 1);
    }
    *fault_ns = mean(r.next_ns, r.next);
    ns = quantile(populate, TRIES, 2);
    *populate_ns = ns > call_ns ? (uint32_t)((ns - call_ns) / (RUN - 1)) : 0;
}

/* `n` runs on the fresh frames at *p, each after work over `bytes`. */
static struct runs fresh_runs(struct bench *b, char **p, unsigned pages, size_t bytes, unsigned n) {
    struct runs r = {0};
    for (unsigned i = 0; i < n; i++) {
        work(b, (unsigned)(bytes / LINE));
        one_run(b, *p, pages, &r);
        *p += (pages + 1) * b->page;
    }
    return r;
}

/* What a fault that comes alone, after work over `bytes`, costs above one in a row. */
static uint32_t entry(struct bench *b, char **p, uint32_t fault_ns, size_t bytes, unsigned n) {
    struct runs r = fresh_runs(b, p, 1, bytes, n);
    uint32_t ns = mean(r.first_ns, r.n);
    return ns > fault_ns ? ns - fault_ns : 0;
}

/* Fresh frames: the pool keeps those at hand, and a sweep drives what else was used lately out of
 * the caches. */
static void measure_fresh(struct bench *b, struct haks_costs *c) {
    size_t length = (RUNS * (RUN + 1) + 2 * 37 * RUNS) * b->page;
    char *fresh = mmap(NULL, length, PROT_READ | PROT_WRITE,
                       MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0),
         *p = fresh;
    check(b, fresh == MAP_FAILED);
    if (fresh == MAP_FAILED)
        return;
    touch(b, b->pool, POOL_PAGES);
    memset(b->work, 1, SWEEP_BYTES);
    struct runs r = fresh_runs(b, &p, RUN, (size_t)64 << 10, RUNS);
    c->fault_ns = mean(r.next_ns, r.next);
    /* in the middle of what each price is taken for */
    c->entry_ns = entry(b, &p, c->fault_ns, (size_t)8 << 10, 16 * RUNS);
    c->entry_16k_ns = entry(b, &p, c->fault_ns, (size_t)48 << 10, 16 * RUNS);
    c->entry_128k_ns = entry(b, &p, c->fault_ns, (size_t)512 << 10, 4 * RUNS);
    c->entry_2m_ns = entry(b, &p, c->fault_ns, (size_t)8 << 20, RUNS);
    munmap(fresh, length);
}

/* What each page costs when it is given back right after it came. */
static uint32_t hot_page(struct bench *b) {
    uint64_t ns[2][4 * TRIES], less, more;
    for (unsigned i = 0; i < 4 * TRIES; i++) {
        for (unsigned s = 0; s < 2; s++) {
            touch(b, b->pool, (s + 1) * RUN);
            ns[s][i] = do_dontneed(b, b->pool, (s + 1) * RUN);
        }
    }
    less = quantile(ns[0], 4 * TRIES, 2);
    more = quantile(ns[1], 4 * TRIES, 2);
    return more > less ? (uint32_t)((more - less) / RUN) : 0;
}

static void measure_faults(struct bench *b, struct haks_costs *c) {
    measure_fresh(b, c);
    check(b, madvise(b->pool, POOL_PAGES * b->page, MADV_DONTNEED) != 0);
    used_frames(b, (size_t)512 << 10, c->populate_call_ns, &c->hot_fault_ns, &c->hot_populate_ns);
    used_frames(b, (size_t)6 << 20, c->populate_call_ns, &c->warm_fault_ns, &c->warm_populate_ns);
    c->hot_page_ns = hot_page(b);
}

/* ---- address space -------------------------------------------------------------------------- */

static void measure_maps(struct bench *b, struct haks_costs *c) {
    uint64_t map[TRIES], commit[TRIES];
    for (unsigned i = 0; i < TRIES; i++) {
        work(b, MAP_STEPS);
        uint64_t start = now_ns();
        char *p =
            mmap(NULL, SPAN_BYTES, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
        map[i] = since(b, start);
        check(b, p == MAP_FAILED);
        if (p == MAP_FAILED)
            return;
        work(b, MAP_STEPS);
        start = now_ns();
        check(b, mprotect(p, SPAN_BYTES / 2, PROT_READ | PROT_WRITE) != 0);
        commit[i] = since(b, start);
        munmap(p, SPAN_BYTES);
    }
    c->map_call_ns = (uint32_t)quantile(map, TRIES, 2);
    c->commit_call_ns = (uint32_t)quantile(commit, TRIES, 2);
}

/* ---- shoot-downs ---------------------------------------------------------------------------- */

struct other {
    atomic_int running, end;
    cpu_set_t mine; /* the processor that is measured on */
};

/* On another processor: on the same one, nobody would have to be told. */
static void *keep_busy(void *arg) {
    struct other *o = arg;
    cpu_set_t others;
    if (sched_getaffinity(0, sizeof others, &others) == 0) {
        CPU_XOR(&others, &others, &o->mine);
        sched_setaffinity(0, sizeof others, &others);
    }
    atomic_fetch_add(&o->running, 1);
    while (!atomic_load_explicit(&o->end, memory_order_relaxed))
        ;
    return NULL;
}

static uint64_t short_release(struct bench *b) {
    uint64_t ns[4 * TRIES];
    for (unsigned i = 0; i < 4 * TRIES; i++) {
        touch(b, b->pool, 16);
        work(b, CALL_STEPS);
        ns[i] = do_dontneed(b, b->pool, 16);
    }
    return quantile(ns, 4 * TRIES, 2);
}

/* What each further processor that runs a thread of the process adds. */
static void measure_shootdown(struct bench *b, struct haks_costs *c) {
    struct other o = {0, 0, {{0}}};
    cpu_set_t all;
    pthread_t thread[OTHERS_MOST];
    unsigned n = c->cpus > 1 ? c->cpus - 1 : 0, started = 0;
    uint64_t alone = short_release(b), beside;
    int cpu = sched_getcpu();
    if (cpu < 0 || sched_getaffinity(0, sizeof all, &all) != 0)
        return;
    CPU_SET((unsigned)cpu, &o.mine);
    sched_setaffinity(0, sizeof o.mine, &o.mine);
    if (n > OTHERS_MOST)
        n = OTHERS_MOST;
    while (started < n && pthread_create(&thread[started], NULL, keep_busy, &o) == 0)
        started++;
    while (atomic_load(&o.running) < (int)started)
        sched_yield();
    beside = short_release(b);
    atomic_store(&o.end, 1);
    for (unsigned i = 0; i < started; i++)
        pthread_join(thread[i], NULL);
    sched_setaffinity(0, sizeof all, &all);
    c->shootdown_ns = started > 0 && beside > alone ? (uint32_t)((beside - alone) / started) : 0;
}

/* ---- rounds --------------------------------------------------------------------------------- */

static void one_round(struct bench *b, struct haks_calibration *c) {
    struct haks_costs *p = &c->costs;
    measure_call(b, do_populate, 0, &p->populate_call_ns, &p->populate_page_ns);
    measure_faults(b, p);
    measure_flush(b, p);
    measure_call(b, do_free, p->flush_page_ns, &p->free_call_ns, &p->free_page_ns);
    measure_call(b, do_unmap, p->flush_page_ns, &p->unmap_call_ns, &p->unmap_page_ns);
    measure_call(b, do_move, 0, &p->move_call_ns, &p->move_page_ns);
    measure_maps(b, p);
    measure_shootdown(b, p);
}

static void time_the_clock(struct bench *b) {
    uint64_t ns[101];
    for (unsigned i = 0; i < 101; i++) {
        uint64_t start = now_ns();
        ns[i] = now_ns() - start;
    }
    b->stamp_ns = quantile(ns, 101, 2);
}

/* The median of each price over the rounds, and its quartiles. */
static void summarise(const struct haks_calibration *round, unsigned n,
                      struct haks_calibration *out) {
    uint64_t v[ROUNDS_MOST];
    const struct haks_price *p;
    for (unsigned i = 0; (p = haks_price_at(i)) != NULL; i++) {
        for (unsigned k = 0; k < n; k++)
            v[k] = *(const uint32_t *)(const void *)((const char *)&round[k].costs + p->at);
        struct haks_costs *const to[] = {&out->low, &out->costs, &out->high};
        for (unsigned q = 0; q < 3; q++)
            *(uint32_t *)(void *)((char *)to[q] + p->at) = (uint32_t)quantile(v, n, q + 1);
    }
    out->rounds = n;
}

static int run_rounds(struct bench *b, struct haks_calibration *round, unsigned n,
                      struct hakc_err *err) {
    struct hakc_progress progress;
    long cpus = sysconf(_SC_NPROCESSORS_ONLN);
    hakc_progress_start(&progress, "calibration", n, "rounds");
    for (unsigned i = 0; i < n && b->failed == 0; i++) {
        if (b->stop != NULL && *b->stop)
            break;
        round[i].costs.cpus = cpus > 0 ? (uint32_t)cpus : 1;
        one_round(b, &round[i]);
        hakc_progress_set(&progress, i + 1);
    }
    hakc_progress_end(&progress);
    if (b->stop != NULL && *b->stop)
        return hakc_fail(err, HAKC_EINTERNAL, "interrupted");
    errno = b->failed;
    return b->failed == 0 ? 0 : hakc_fail_errno(err, HAKC_EIO, "a call to be measured failed");
}

int haks_calibrate(unsigned rounds, const volatile int *stop, struct haks_calibration *out,
                   struct hakc_err *err) {
    struct bench b = {.page = (size_t)sysconf(_SC_PAGESIZE), .seed = 1, .stop = stop};
    struct haks_calibration *round;
    size_t pool = POOL_PAGES * b.page;
    int rc;

    rounds = rounds < 1 ? 1 : rounds > ROUNDS_MOST ? ROUNDS_MOST : rounds;
    round = calloc(rounds, sizeof *round);
    b.work = calloc(1, SWEEP_BYTES);
    b.pool = map_pool(&b, NULL);
    b.target = map_pool(&b, NULL);
    if (round == NULL || b.work == NULL || b.pool == NULL || b.target == NULL) {
        rc = hakc_fail(err, HAKC_ENOMEM, "no memory for the calibration");
    } else {
        time_the_clock(&b);
        rc = run_rounds(&b, round, rounds, err);
    }
    if (rc == 0) {
        *out = (struct haks_calibration){0};
        summarise(round, rounds, out);
        out->costs.cpus = round[0].costs.cpus;
        snprintf(out->costs.source, sizeof out->costs.source,
                 "calibrated on this machine just now");
    }
    if (b.pool != NULL)
        munmap(b.pool, pool);
    if (b.target != NULL)
        munmap(b.target, pool);
    free(b.work);
    free(round);
    return rc;
}
