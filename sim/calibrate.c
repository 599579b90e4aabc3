#include "sim/calibrate.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/progress.h"
#include "sim/calibrate_int.h"

#define ROUNDS_MOST 999

/* ---- the bench ------------------------------------------------------------------------------ */

static int by_value(const void *a, const void *b) {
    const uint64_t *x = a, *y = b;
    return (*x > *y) - (*x < *y);
}

uint64_t haks_bench_quantile(uint64_t *v, size_t n, unsigned quarter) {
    qsort(v, n, sizeof *v, by_value);
    return v[(n - 1) * quarter / 4];
}

void haks_bench_work(struct haks_bench *b, unsigned steps) {
    for (unsigned i = 0; i < steps; i++) {
        b->seed = b->seed * 6364136223846793005u + 1442695040888963407u;
        b->work[(b->seed >> 40) % HAKS_WORK_BYTES]++;
    }
}

void haks_bench_check(struct haks_bench *b, int failed) {
    if (failed && b->failed == 0)
        b->failed = errno;
}

char *haks_bench_pool(struct haks_bench *b, char *p) {
    size_t bytes = HAKS_POOL_PAGES * b->page;
    int fixed = p != NULL ? MAP_FIXED : 0;
    p = mmap(p, bytes, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | fixed, -1, 0);
    if (p == MAP_FAILED || mprotect(p, bytes, PROT_READ | PROT_WRITE) != 0) {
        b->failed = errno;
        return NULL;
    }
    return p;
}

static void *shared(struct haks_bench *b, size_t bytes) {
    void *p = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    haks_bench_check(b, p == MAP_FAILED);
    return p != MAP_FAILED ? p : NULL;
}

char *haks_bench_fresh(struct haks_bench *b, size_t bytes) {
    char *p = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE,
                   -1, 0);
    haks_bench_check(b, p == MAP_FAILED);
    return p != MAP_FAILED ? p : NULL;
}

void haks_bench_in_child(struct haks_bench *b, struct haks_costs *c,
                         void (*measure)(struct haks_bench *b, struct haks_costs *c)) {
    int status = 0;
    *b->found = *c;
    pid_t pid = fork();
    if (pid == 0) {
        measure(b, b->found);
        _exit(b->failed < 255 ? b->failed : EIO);
    }
    haks_bench_check(b, pid < 0);
    while (pid > 0 && waitpid(pid, &status, 0) < 0 && errno == EINTR)
        ;
    if (status != 0 && b->failed == 0)
        b->failed = WIFEXITED(status) ? WEXITSTATUS(status) : EIO;
    *c = *b->found;
}

/* ---- rounds --------------------------------------------------------------------------------- */

static void fresh_frames(struct haks_bench *b, struct haks_costs *c) {
    haks_bench_fresh_faults(b, c);
    haks_bench_populate(b, c);
    haks_bench_huge_fault(b, c);
}

static void one_round(struct haks_bench *b, struct haks_calibration *c) {
    struct haks_costs *p = &c->costs;
    haks_bench_in_child(b, p, fresh_frames);
    haks_bench_used_faults(b, p);
    haks_bench_calls(b, p);
    haks_bench_maps(b, p);
    haks_bench_shootdown(b, p);
}

static uint64_t unix_ns(void) {
    struct timespec t;
    clock_gettime(CLOCK_REALTIME, &t);
    return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

static void time_the_clock(struct haks_bench *b) {
    uint64_t ns[101];
    for (unsigned i = 0; i < 101; i++) {
        uint64_t start = haks_bench_now();
        ns[i] = haks_bench_now() - start;
    }
    b->stamp_ns = haks_bench_quantile(ns, 101, 2);
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
            *(uint32_t *)(void *)((char *)to[q] + p->at) =
                (uint32_t)haks_bench_quantile(v, n, q + 1);
    }
    out->rounds = n;
}

static int run_rounds(struct haks_bench *b, struct haks_calibration *round, unsigned n,
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
    struct haks_bench b = {.page = (size_t)sysconf(_SC_PAGESIZE), .seed = 1, .stop = stop};
    uint64_t started = unix_ns();
    struct haks_calibration *round;
    size_t pool = HAKS_POOL_PAGES * b.page;
    int rc;

    rounds = rounds < 1 ? 1 : rounds > ROUNDS_MOST ? ROUNDS_MOST : rounds;
    round = calloc(rounds, sizeof *round);
    b.work = shared(&b, HAKS_WORK_BYTES);
    b.found = shared(&b, sizeof *b.found);
    b.pool = haks_bench_pool(&b, NULL);
    b.target = haks_bench_pool(&b, NULL);
    if (round == NULL || b.work == NULL || b.found == NULL || b.pool == NULL || b.target == NULL) {
        rc = hakc_fail(err, HAKC_ENOMEM, "no memory for the calibration");
    } else {
        time_the_clock(&b);
        rc = run_rounds(&b, round, rounds, err);
    }
    if (rc == 0) {
        *out = (struct haks_calibration){0};
        summarise(round, rounds, out);
        out->started_unix_ns = started;
        out->costs.cpus = round[0].costs.cpus;
        snprintf(out->costs.source, sizeof out->costs.source,
                 "calibrated on this machine just now");
    }
    if (b.pool != NULL)
        munmap(b.pool, pool);
    if (b.target != NULL)
        munmap(b.target, pool);
    if (b.work != NULL)
        munmap(b.work, HAKS_WORK_BYTES);
    if (b.found != NULL)
        munmap(b.found, sizeof *b.found);
    free(round);
    return rc;
}
