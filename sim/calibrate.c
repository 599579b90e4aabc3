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
#define SIZES       5
#define SIZE_MOST   256u               /* pages of the longest call */
#define TRIES       12                 /* calls of each size in a round */
#define POOL_PAGES  4608u              /* 18 MiB come and go: enough for TRIES calls of each size */
#define WORK_BYTES  ((size_t)16 << 20) /* what a program does between two calls goes over this */
#define FAULT_STEPS 2048u
#define FAULTS      512u
#define HOT_PAGES   36u /* a buffer of 144 KiB that comes and goes */
#define CALL_STEPS  16384u
#define SPAN_BYTES  ((size_t)64 << 20) /* of a reservation */
#define OTHERS_MOST 3u                 /* further processors that are kept busy */

static const unsigned sizes[SIZES] = {1, 4, 16, 64, SIZE_MOST};

struct bench {
    size_t page;
    char *pool;          /* POOL_PAGES pages, read and write */
    char *target, *to;   /* as much again, and where in it pages are moved to next */
    unsigned char *work; /* WORK_BYTES */
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

/* As a program does between two calls: loads and stores of its own, some ten microseconds. They
 * drive the kernel's data about pages out of the caches: with it there, calls cost a third. */
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
 * most, count as much as long ones.
 */
static void fit(const uint64_t *ns, uint32_t *call_ns, uint32_t *page_ns) {
    double w = 0, wx = 0, wy = 0, wxx = 0, wxy = 0;
    for (unsigned i = 0; i < SIZES; i++) {
        double x = sizes[i], y = ns[i] > 0 ? (double)ns[i] : 1, weight = 1 / (y * y);
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
static void measure_call(struct bench *b, call_fn *call, uint32_t *call_ns, uint32_t *page_ns) {
    uint64_t medians[SIZES], ns[SIZES][TRIES];
    char *p = b->pool;
    map_pool(b, b->pool);
    b->to = map_pool(b, b->target);
    if (call != do_populate)
        touch(b, b->pool, POOL_PAGES);
    for (unsigned i = 0; i < TRIES; i++) {
        for (unsigned s = 0; s < SIZES; s++) {
            work(b, CALL_STEPS);
            ns[s][i] = call(b, p, sizes[s]);
            p += (sizes[s] + 1) * b->page; /* one stays between them: no call meets a hole */
        }
    }
    for (unsigned s = 0; s < SIZES; s++)
        medians[s] = quantile(ns[s], TRIES, 2);
    fit(medians, call_ns, page_ns);
}

/* ---- faults --------------------------------------------------------------------------------- */

/* The mean of a fault in [p, p + pages), none of which is resident: single ones cost from half to
 * twice of it, and it is their sum that counts. The slowest hundredth, where something else ran, is
 * left out. */
static uint32_t fault(struct bench *b, char *p, unsigned pages, unsigned steps) {
    uint64_t *ns = malloc(pages * sizeof *ns), sum = 0;
    unsigned kept = pages - pages / 100;
    if (ns == NULL || kept == 0) {
        free(ns);
        b->failed = ENOMEM;
        return 0;
    }
    for (unsigned i = 0; i < pages; i++) {
        work(b, steps);
        uint64_t start = now_ns();
        *(volatile char *)(p + i * b->page) = 1;
        ns[i] = since(b, start);
    }
    qsort(ns, pages, sizeof *ns, by_value);
    for (unsigned i = 0; i < kept; i++)
        sum += ns[i];
    free(ns);
    return (uint32_t)(sum / kept);
}

/* A page that comes and goes at once: what a fault on it costs, and giving it back. */
static void measure_hot(struct bench *b, struct haks_costs *c) {
    uint64_t fault_ns = 0, page_ns = 0, base = UINT64_MAX;
    for (unsigned i = 0; i < 4 * TRIES; i++) {
        uint64_t start = now_ns(), ns;
        touch(b, b->pool, HOT_PAGES);
        fault_ns += since(b, start);
        page_ns += do_dontneed(b, b->pool, HOT_PAGES);
        touch(b, b->pool, 1);
        ns = do_dontneed(b, b->pool, 1);
        base = ns < base ? ns : base;
    }
    c->hot_fault_ns = (uint32_t)(fault_ns / (4 * TRIES) / HOT_PAGES);
    page_ns /= 4 * TRIES;
    c->hot_page_ns = page_ns > base ? (uint32_t)((page_ns - base) / (HOT_PAGES - 1)) : 0;
}

static void measure_faults(struct bench *b, struct haks_calibration *c) {
    size_t bytes = POOL_PAGES * b->page;
    char *fresh;
    measure_hot(b, &c->costs);
    touch(b, b->pool, POOL_PAGES);
    check(b, madvise(b->pool, bytes, MADV_DONTNEED) != 0);
    c->costs.fault_ns = fault(b, b->pool, FAULTS, FAULT_STEPS);
    /* While the pool keeps its pages, the kernel has to find others. */
    touch(b, b->pool, POOL_PAGES);
    fresh = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE,
                 -1, 0);
    check(b, fresh == MAP_FAILED);
    if (fresh == MAP_FAILED)
        return;
    c->fresh_fault_ns = fault(b, fresh, FAULTS, FAULT_STEPS);
    munmap(fresh, bytes);
    check(b, madvise(b->pool, bytes, MADV_DONTNEED) != 0);
}

/* ---- address space -------------------------------------------------------------------------- */

static void measure_maps(struct bench *b, struct haks_costs *c) {
    uint64_t map[TRIES], commit[TRIES];
    for (unsigned i = 0; i < TRIES; i++) {
        work(b, CALL_STEPS);
        uint64_t start = now_ns();
        char *p =
            mmap(NULL, SPAN_BYTES, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
        map[i] = since(b, start);
        check(b, p == MAP_FAILED);
        if (p == MAP_FAILED)
            return;
        work(b, CALL_STEPS);
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
    measure_faults(b, c);
    measure_call(b, do_dontneed, &p->dontneed_call_ns, &p->dontneed_page_ns);
    measure_call(b, do_free, &p->free_call_ns, &p->free_page_ns);
    measure_call(b, do_unmap, &p->unmap_call_ns, &p->unmap_page_ns);
    measure_call(b, do_populate, &p->populate_call_ns, &p->populate_page_ns);
    measure_call(b, do_move, &p->move_call_ns, &p->move_page_ns);
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
    for (unsigned k = 0; k < n; k++)
        v[k] = round[k].fresh_fault_ns;
    out->fresh_fault_ns = (uint32_t)quantile(v, n, 2);
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
    b.work = calloc(1, WORK_BYTES);
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
