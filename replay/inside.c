#include "replay/inside.h"

#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include "replay/raw.h"
#include "replay/shm.h"

static int by_place(const void *a, const void *b) {
    const struct hakr_slow *x = &((const struct hakr_inside *)a)->slow,
                           *y = &((const struct hakr_inside *)b)->slow;
    if (x->thread != y->thread)
        return x->thread < y->thread ? -1 : 1;
    return x->op < y->op ? -1 : x->op > y->op;
}

/* Sets what thread t waits for: entry k, if that is one of its own. */
static void await(struct hakr_ctl *c, struct hakr_shm_thread *t, uint32_t k) {
    const struct hakr_inside *next = &hakr_insides(c)[k];
    int own = k < c->n_inside && next->slow.thread == (uint32_t)(t - hakr_threads(c));
    t->inside_next = k;
    t->inside_at = own ? next->slow.op : UINT64_MAX;
}

void hakr_inside_plan(struct hakr_ctl *c, const struct hakr_slow *slow, uint32_t n) {
    struct hakr_inside *list = hakr_insides(c);
    uint32_t used = 0;
    for (uint32_t i = 0; i < n; i++) {
        uint32_t k = 0;
        while (k < used && (list[k].slow.thread != slow[i].thread || list[k].slow.op != slow[i].op))
            k++;
        if (k == used) /* else it was slow in two runs */
            list[used++].slow = slow[i];
    }
    c->n_inside = used;
    qsort(list, used, sizeof *list, by_place);
    for (uint32_t t = 0, k = 0; t < c->n_threads; t++) {
        while (k < used && list[k].slow.thread < t)
            k++;
        await(c, &hakr_threads(c)[t], k);
    }
}

static void faults(uint64_t *minor, uint64_t *major) {
    struct rusage r;
    hakr_raw(SYS_getrusage, RUSAGE_THREAD, (long)&r, 0, 0, 0, 0);
    *minor = (uint64_t)r.ru_minflt;
    *major = (uint64_t)r.ru_majflt;
}

void hakr_inside_begin(struct hakr_ctl *c, struct hakr_shm_thread *t) {
    struct hakr_inside *i = &hakr_insides(c)[t->inside_next];
    uint64_t minor, major;
    i->done = 1; /* written before the faults are read: its page is there */
    faults(&minor, &major);
    i->minflt = -minor;
    i->majflt = -major;
    __atomic_store_n(&t->inside, t->inside_next + 1, __ATOMIC_RELAXED);
}

void hakr_inside_end(struct hakr_ctl *c, struct hakr_shm_thread *t) {
    struct hakr_inside *i = &hakr_insides(c)[t->inside_next];
    uint64_t minor, major;
    __atomic_store_n(&t->inside, 0, __ATOMIC_RELAXED);
    faults(&minor, &major);
    i->minflt += minor;
    i->majflt += major;
    await(c, t, t->inside_next + 1);
}

struct hakr_sys_total hakr_inside_sum(const struct hakr_inside *i) {
    struct hakr_sys_total sum = {0};
    for (unsigned k = 0; k < HAKR_SYS_COUNT; k++) {
        sum.calls += i->calls[k].calls;
        sum.errors += i->calls[k].errors;
        sum.bytes += i->calls[k].bytes;
        sum.kernel_ns += i->calls[k].kernel_ns;
    }
    return sum;
}
