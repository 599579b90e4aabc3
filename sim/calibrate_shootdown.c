/* What processors that run other threads of the process add to a call that takes pages away. */
#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>

#include "sim/calibrate_int.h"

#define OTHERS_MOST 3u /* further processors that are kept busy */

struct other {
    atomic_int running, lost, end; /* lost: those that could not go to another processor */
    cpu_set_t theirs;              /* all processors but that which is measured on */
};

/* On another processor: on the same one, nobody would have to be told. (A thread begins on those
 * of the one that made it.) */
static void *keep_busy(void *arg) {
    struct other *o = arg;
    if (sched_setaffinity(0, sizeof o->theirs, &o->theirs) != 0)
        atomic_store(&o->lost, errno);
    atomic_fetch_add(&o->running, 1);
    while (!atomic_load_explicit(&o->end, memory_order_relaxed))
        ;
    return NULL;
}

static uint64_t short_release(struct haks_bench *b) {
    uint64_t ns[4 * HAKS_TRIES];
    for (unsigned i = 0; i < 4 * HAKS_TRIES; i++) {
        haks_bench_touch(b, b->pool, 16);
        haks_bench_work(b, HAKS_CALL_STEPS);
        ns[i] = haks_bench_dontneed(b, b->pool, 16);
    }
    return haks_bench_quantile(ns, 4 * HAKS_TRIES, 2);
}

/* What each further processor that runs a thread of the process adds. */
void haks_bench_shootdown(struct haks_bench *b, struct haks_costs *c) {
    struct other o = {0, 0, 0, {{0}}};
    cpu_set_t all, mine;
    pthread_t thread[OTHERS_MOST];
    unsigned n, started = 0;
    uint64_t alone = short_release(b), beside;
    int cpu = sched_getcpu();
    if (cpu < 0 || sched_getaffinity(0, sizeof all, &all) != 0)
        return;
    CPU_ZERO(&mine);
    CPU_SET((unsigned)cpu, &mine);
    CPU_XOR(&o.theirs, &all, &mine);
    sched_setaffinity(0, sizeof mine, &mine);
    n = (unsigned)CPU_COUNT(&o.theirs);
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
    if (atomic_load(&o.lost) != 0) {
        errno = atomic_load(&o.lost);
        haks_bench_check(b, 1);
    }
    c->shootdown_ns = started > 0 && beside > alone ? (uint32_t)((beside - alone) / started) : 0;
}
