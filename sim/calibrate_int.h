/*
 * What the parts of the calibration share: the process that is measured on, and its clock. The
 * parts: calibrate_calls.c (calls), calibrate_faults.c (page faults), calibrate_shootdown.c (what
 * other processors add), calibrate.c (rounds).
 */
#ifndef SIM_CALIBRATE_INT_H
#define SIM_CALIBRATE_INT_H

#include <stddef.h>
#include <stdint.h>
#include <time.h>
#include "sim/cost_model.h"

#define HAKS_TRIES      12u   /* calls of each size in a round */
#define HAKS_POOL_PAGES 4608u /* 18 MiB come and go: enough for TRIES of each size */
#define HAKS_LINE       64u   /* bytes of a cache's line: what a step of work drives */
#define HAKS_CALL_STEPS 128u  /* 8 KiB: the kernel's code and data are still there */
/* What a program does between two calls goes over this. */
#define HAKS_WORK_BYTES ((size_t)16 << 20)

struct haks_bench {
    size_t page;
    char *pool;          /* POOL_PAGES pages, read and write */
    char *target, *to;   /* as much again, and where in it pages are moved to next */
    unsigned char *work; /* WORK_BYTES, shared with the child */
    uint64_t seed;
    uint64_t stamp_ns; /* what taking the time twice takes */
    int failed;        /* errno */
    const volatile int *stop;
    struct haks_costs *found; /* shared with the child */
};

uint64_t haks_bench_quantile(uint64_t *v, size_t n, unsigned quarter);
/* As a program does between two calls: loads and stores of its own. They drive the kernel's code
 * and data out of the caches, a line a step. */
void haks_bench_work(struct haks_bench *b, unsigned steps);
/* Keeps errno of the first failure. */
void haks_bench_check(struct haks_bench *b, int failed);
/* POOL_PAGES pages, read and write, as the allocator gets its own: at p, or anywhere (NULL). */
char *haks_bench_pool(struct haks_bench *b, char *p);
/* A region none of whose pages is there, or NULL. */
char *haks_bench_fresh(struct haks_bench *b, size_t bytes);
/*
 * Runs `measure` in a new process, for prices of fresh frames: a process that has run for a while
 * gets frames that its own processor's caches know, or the system's lists of them have fallen in
 * with it; the first 20 MiB of a new one cost some 8 % more a page. What it set in *c is kept.
 */
void haks_bench_in_child(struct haks_bench *b, struct haks_costs *c,
                         void (*measure)(struct haks_bench *b, struct haks_costs *c));

static inline uint64_t haks_bench_now(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

static inline uint64_t haks_bench_since(const struct haks_bench *b, uint64_t start) {
    uint64_t ns = haks_bench_now() - start;
    return ns > b->stamp_ns ? ns - b->stamp_ns : 0;
}

static inline void haks_bench_touch(const struct haks_bench *b, char *p, unsigned pages) {
    for (unsigned i = 0; i < pages; i++)
        *(volatile char *)(p + i * b->page) = 1;
}

/* One call: its time. DONTNEED over resident pages, POPULATE_WRITE where none is. */
uint64_t haks_bench_dontneed(struct haks_bench *b, char *p, unsigned pages);
uint64_t haks_bench_populate_write(struct haks_bench *b, char *p, unsigned pages);

/* The prices: in a new process those of fresh frames; then those that build on them. */
void haks_bench_fresh_faults(struct haks_bench *b, struct haks_costs *c);
void haks_bench_populate(struct haks_bench *b, struct haks_costs *c);
void haks_bench_huge_fault(struct haks_bench *b, struct haks_costs *c);
void haks_bench_used_faults(struct haks_bench *b, struct haks_costs *c);
void haks_bench_calls(struct haks_bench *b, struct haks_costs *c);
void haks_bench_maps(struct haks_bench *b, struct haks_costs *c);
void haks_bench_shootdown(struct haks_bench *b, struct haks_costs *c);

#endif
