/* See workloads.h. */
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "tests/bench/workloads.h"

static uint32_t next(uint32_t *x) {
    *x ^= *x << 13;
    *x ^= *x >> 17;
    *x ^= *x << 5;
    return *x;
}

static void *must(void *p) {
    if (!p) {
        fputs("bench_workloads: malloc returned NULL\n", stderr);
        exit(1);
    }
    return p;
}

/* Sizes as programs ask for them: most are small, one in some hundred is thousands of bytes. */
static size_t some_size(uint32_t *x) {
    uint32_t r = next(x);
    size_t n = 8 + (r >> 8) % 120;
    if (r % 8 == 0)
        n += (r >> 12) % 1000;
    if (r % 256 == 0)
        n += (r >> 12) % 30000;
    return n;
}

static char *make(size_t n, uint32_t tag) {
    char *p = must(malloc(n));
    p[0] = (char)tag;
    p[n - 1] = (char)tag;
    return p;
}

/* ---- handoff: what one thread allocates another one frees ---------------------------------- */

enum { RING = 8192, MOST_RINGS = 64 }; /* bench_workloads runs no more threads */

struct ring {
    _Alignas(64) _Atomic(uint64_t) head;
    _Alignas(64) _Atomic(uint64_t) tail;
    _Alignas(64) void *slot[RING];
};

/* Even threads fill the ring of the next thread, odd ones empty theirs. */
static uint64_t handoff(struct workload_thread *t) {
    struct ring *r = (struct ring *)t->shared + (t->number / 2) % MOST_RINGS;
    uint64_t n = t->rounds * 20000;
    if (t->number % 2 == 0 && t->number + 1 == t->threads)
        return 0; /* no partner */
    for (uint64_t i = 0; i < n; i++) {
        if (t->number % 2 == 0) {
            void *p = make(some_size(&t->rng), t->rng);
            while (i - atomic_load_explicit(&r->tail, memory_order_acquire) >= RING)
                usleep(50); /* a turn of sched_yield burns time that is not the allocator's */
            r->slot[i % RING] = p;
            atomic_store_explicit(&r->head, i + 1, memory_order_release);
        } else {
            while (atomic_load_explicit(&r->head, memory_order_acquire) <= i)
                usleep(50);
            free(r->slot[i % RING]);
            atomic_store_explicit(&r->tail, i + 1, memory_order_release);
        }
    }
    return n;
}

/* ---- server: threads come and go, each takes over the objects of the one before -------------- */

enum { HELD = 4000 };

struct shift {
    char *held[HELD];
    uint32_t rng;
};

static void *serve(void *arg) {
    struct shift *s = arg;
    for (unsigned i = 0; i < 20000; i++) {
        char **slot = &s->held[next(&s->rng) % HELD];
        free(*slot);
        *slot = make(8 + next(&s->rng) % 1000, s->rng);
    }
    return NULL;
}

static uint64_t server(struct workload_thread *t) {
    struct shift *s = (struct shift *)t->shared + t->number % MOST_RINGS;
    pthread_t worker;
    s->rng = t->rng;
    for (uint64_t i = 0; i < t->rounds * 2; i++) {
        if (pthread_create(&worker, NULL, serve, s) != 0)
            exit(1);
        pthread_join(worker, NULL);
    }
    for (unsigned i = 0; i < HELD; i++)
        free(s->held[i]);
    return t->rounds * 80000;
}

/* ---- bursts: much at once, then nothing ------------------------------------------------------ */

enum { BURST = 20000 };

static uint64_t bursts(struct workload_thread *t) {
    void **p = must(calloc(BURST, sizeof *p));
    for (uint64_t round = 0; round < t->rounds; round++) {
        unsigned n = BURST / 4 + next(&t->rng) % (BURST * 3 / 4);
        for (unsigned i = 0; i < n; i++)
            p[i] = make(some_size(&t->rng), t->rng);
        for (unsigned i = 0; i < n; i += 2) /* forwards, then backwards */
            free(p[i]);
        for (unsigned i = n; i-- > 0;)
            if (i % 2)
                free(p[i]);
    }
    free(p);
    return t->rounds * BURST * 5 / 4;
}

/* ---- aging: few that live long among many that do not -----------------------------------------
 */

enum { OLD = 50000, YOUNG = 64 };

static uint64_t aging(struct workload_thread *t) {
    void **old = must(calloc(OLD, sizeof *old)), *young[YOUNG] = {NULL};
    for (uint64_t i = 0; i < t->rounds * 20000; i++) {
        uint32_t r = next(&t->rng);
        void **slot = r % 16 == 0 ? &old[(r >> 4) % OLD] : &young[(r >> 4) % YOUNG];
        free(*slot);
        *slot = make(some_size(&t->rng), r);
    }
    for (unsigned i = 0; i < OLD; i++)
        free(old[i]);
    for (unsigned i = 0; i < YOUNG; i++)
        free(young[i]);
    free(old);
    return t->rounds * 40000;
}

/* ---- growth: buffers that grow side by side ----------------------------------------------------
 */

enum { BUFFERS = 8, GROWN = 2 << 20 };

static uint64_t growth(struct workload_thread *t) {
    uint64_t calls = 0;
    for (uint64_t round = 0; round < t->rounds; round++) {
        char *p[BUFFERS] = {NULL};
        size_t n[BUFFERS] = {0}, most = (size_t)GROWN >> next(&t->rng) % 6;
        for (unsigned done = 0; done < BUFFERS; calls++) {
            unsigned i = next(&t->rng) % BUFFERS;
            if (n[i] >= most)
                continue;
            size_t want = n[i] + n[i] / 2 + 24;
            p[i] = must(realloc(p[i], want));
            memset(p[i] + n[i], (int)i, want - n[i]);
            n[i] = want;
            done += want >= most;
        }
        for (unsigned i = 0; i < BUFFERS; i++)
            free(p[i]);
        calls += BUFFERS;
    }
    return calls;
}

/* ---- large: few objects, each of many pages -----------------------------------------------------
 */

enum { LARGE = 12 };

static uint64_t large(struct workload_thread *t) {
    char *p[LARGE] = {NULL};
    for (uint64_t round = 0; round < t->rounds * 4; round++) {
        uint32_t r = next(&t->rng);
        size_t n = (size_t)(64 + r % 4000) << (r >> 12) % 12;
        char **slot = &p[(r >> 24) % LARGE];
        free(*slot);
        *slot = must(r & 64 ? malloc(n) : calloc(1, n));
        for (size_t i = 0; i < n; i += 4096)
            (*slot)[i] = (char)r;
    }
    for (unsigned i = 0; i < LARGE; i++)
        free(p[i]);
    return t->rounds * 8;
}

/* ---- sharing: small objects that each thread writes all the time --------------------------------
 */

enum { SHARERS = 1024 };

/* Each thread begins with an object that thread 0 allocated beside the others', and goes on with
 * its own. Who puts the objects of two threads into one cache line pays. */
static uint64_t sharing(struct workload_thread *t) {
    _Atomic(char *) *given = t->shared;
    if (t->number == 0)
        for (unsigned i = 0; i < t->threads; i++)
            atomic_store(&given[i % SHARERS], make(8, 1));
    char *mine;
    while (!(mine = atomic_exchange(&given[t->number % SHARERS], NULL)))
        sched_yield();
    for (uint64_t round = 0; round < t->rounds * 20; round++) {
        for (unsigned i = 0; i < 20000; i++)
            ++*(volatile char *)mine;
        free(mine);
        mine = make(8, 1);
    }
    free(mine);
    return t->rounds * 40;
}

static const struct workload table[] = {
    {"handoff", "one thread allocates, another frees", sizeof(struct ring) * MOST_RINGS, 2,
     handoff},
    {"server", "threads come and go, each takes over the objects of the one before",
     sizeof(struct shift) * MOST_RINGS, 1, server},
    {"bursts", "thousands of objects at once, then none", 0, 1, bursts},
    {"aging", "few objects that live long among many that do not", 0, 1, aging},
    {"growth", "buffers that realloc grows side by side", 0, 1, growth},
    {"large", "few objects of 64 bytes to 8 MiB, each page touched", 0, 1, large},
    {"sharing", "small objects that each thread writes all the time", sizeof(void *) * SHARERS, 1,
     sharing},
};

const struct workload *workload_at(unsigned i) {
    return i < sizeof table / sizeof table[0] ? &table[i] : NULL;
}
