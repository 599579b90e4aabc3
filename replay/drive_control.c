/*
 * What a stream holds besides calls: waits for other threads, the drift limit, the recorded time.
 */
#include <sched.h>
#include <stdlib.h>
#include "replay/drive_int.h"
#include "replay/plan.h"

#define WAIT_YIELDS   4
#define WAIT_SLEEP_NS 500000

static void sleep_on(uint32_t *word, uint32_t now) {
    struct timespec limit = {.tv_nsec = WAIT_SLEEP_NS};
    hakr_raw(SYS_futex, (long)word, FUTEX_WAIT, now, (long)&limit, 0, 0);
}

/* Sleeps until thread p has published position `target`. The producer looks at `waiters` without a
 * fence after its store, so a wake may be missed; hence the time limit of each sleep. */
__attribute__((noinline)) void hakr_wait_for(const struct hakr_drive *d, struct hakr_shm_thread *t,
                                             struct hakr_shm_thread *p, uint64_t target) {
    t->blocked++;
    for (int i = 0; i < d->spins; i++) {
        __builtin_ia32_pause();
        if (__atomic_load_n(&p->progress, __ATOMIC_ACQUIRE) >= target)
            return;
    }
    for (int i = 0; i < WAIT_YIELDS; i++) {
        sched_yield();
        if (__atomic_load_n(&p->progress, __ATOMIC_ACQUIRE) >= target)
            return;
    }
    __atomic_fetch_add(&p->waiters, 1, __ATOMIC_SEQ_CST);
    for (;;) {
        uint64_t now = __atomic_load_n(&p->progress, __ATOMIC_ACQUIRE);
        if (now >= target)
            break;
        sleep_on((uint32_t *)&p->progress, (uint32_t)now);
    }
    __atomic_fetch_sub(&p->waiters, 1, __ATOMIC_RELAXED);
}

/* ---- drift ------------------------------------------------------------------------------------
 */

void hakr_leave_epoch(const struct hakr_drive *d, struct hakr_shm_thread *t) {
    if (t->epoch == HAKR_NO_EPOCH)
        return;
    struct hakr_epoch *e = &hakr_epochs(d->ctl)[t->epoch];
    t->epoch = HAKR_NO_EPOCH;
    if (__atomic_add_fetch(&e->done, 1, __ATOMIC_ACQ_REL) == e->needs)
        hakr_raw(SYS_futex, (long)&e->done, FUTEX_WAKE, INT32_MAX, 0, 0, 0);
}

/* Waits until all ops of the epoch are done. */
static void await_epoch(struct hakr_shm_thread *t, struct hakr_epoch *e) {
    uint32_t now = __atomic_load_n(&e->done, __ATOMIC_ACQUIRE);
    if (now >= e->needs)
        return;
    t->held_back++;
    for (int i = 0; now < e->needs; i++) {
        if (i < WAIT_YIELDS)
            sched_yield();
        else
            sleep_on(&e->done, now);
        now = __atomic_load_n(&e->done, __ATOMIC_ACQUIRE);
    }
}

/* Two epochs are looked at, and all before them are done as well: whoever made an op in one of the
 * two had looked at the two that end HAKR_EPOCH_LAG before it, and every epoch has an op. */
static __attribute__((noinline)) void enter_epoch(const struct hakr_drive *d,
                                                  struct hakr_shm_thread *t, uint64_t epoch) {
    struct hakr_epoch *e = hakr_epochs(d->ctl);
    hakr_leave_epoch(d, t);
    for (uint64_t lag = HAKR_EPOCH_LAG; lag <= HAKR_EPOCH_LAG + 1 && lag <= epoch; lag++)
        await_epoch(t, &e[epoch - lag]);
    t->epoch = epoch;
}

/* ---- time -------------------------------------------------------------------------------------
 */

/* In the account pass each time is told; in the others, where telling must not show, every 1 ms. */
#define COARSE_NS 1000000u

static __attribute__((noinline)) void tell_time(const struct hakr_drive *d, uint64_t ns) {
    struct hakr_ctl *c = d->ctl;
    uint64_t step = c->pass == HAKR_PASS_ACCOUNT ? 1 : COARSE_NS;
    if (ns < __atomic_load_n(&c->clock_next, __ATOMIC_RELAXED))
        return;
    if (__atomic_exchange_n(&c->clock_lock, 1, __ATOMIC_ACQUIRE) != 0)
        return; /* another thread is at it */
    if (ns >= c->clock_next) {
        __atomic_store_n(&c->clock_next, ns + step, __ATOMIC_RELAXED);
        d->hakmem("clock", NULL, NULL, &ns, sizeof ns);
    }
    __atomic_store_n(&c->clock_lock, 0, __ATOMIC_RELEASE);
}

#define SPIN_NS 20000u /* below that a sleep would come too late */

/* Waits for the moment at which the recorded time has come, and notes by how much it was late. */
static __attribute__((noinline)) void await_time(const struct hakr_drive *d,
                                                 struct hakr_shm_thread *t, uint64_t recorded) {
    const struct hakr_ctl *c = d->ctl;
    uint64_t due = d->start_ns + (uint64_t)((double)(recorded - c->first_time) * c->pace);
    uint64_t now = hakr_now();
    if (now < due) {
        t->paced_waits++;
        while (now < due) {
            struct timespec at = {.tv_sec = (time_t)(due / 1000000000u),
                                  .tv_nsec = (long)(due % 1000000000u)};
            if (due - now < SPIN_NS)
                __builtin_ia32_pause();
            else
                hakr_raw(SYS_clock_nanosleep, CLOCK_MONOTONIC, TIMER_ABSTIME, (long)&at, 0, 0, 0);
            now = hakr_now();
        }
    }
    hakc_hist_add(hakr_lag(d->ctl, (uint32_t)(t - hakr_threads(d->ctl))), now - due);
}

__attribute__((noinline)) void hakr_control(const struct hakr_drive *d, struct hakr_shm_thread *t,
                                            uint64_t word) {
    struct hakr_shm_thread *p;
    uint64_t value = hakr_control_value(word);
    switch (hakr_control_sort(word)) {
    case HAKR_WAIT:
        p = &hakr_threads(d->ctl)[hakr_wait_thread(word)];
        if (__atomic_load_n(&p->progress, __ATOMIC_ACQUIRE) < hakr_wait_position(word))
            hakr_wait_for(d, t, p, hakr_wait_position(word));
        break;
    case HAKR_EPOCH:
        if (d->ctl->keep_drift)
            enter_epoch(d, t, value);
        break;
    case HAKR_TIME_FAR:
        value <<= HAKR_FAR_SHIFT;
        /* fall through */
    case HAKR_TIME:
        __atomic_store_n(&t->recorded_ns, value, __ATOMIC_RELAXED);
        if (d->ctl->pace > 0)
            await_time(d, t, value);
        if (d->hakmem != NULL && d->ctl->tell_time)
            tell_time(d, value);
        break;
    }
}

/* The allocations other than malloc, calloc and realloc. */
__attribute__((noinline)) void *hakr_rare_alloc(const struct hakr_drive *d, unsigned kind,
                                                uint64_t size, unsigned align_log2) {
    size_t align = (size_t)1 << align_log2;
    void *p = NULL;
    switch (kind) {
    case HAKR_MEMALIGN:
        return d->rare.memalign(align, size);
    case HAKR_ALIGNED_ALLOC:
        return d->rare.aligned_alloc(align, size);
    case HAKR_POSIX_MEMALIGN:
        if (align < sizeof(void *))
            align = sizeof(void *);
        return d->rare.posix_memalign(&p, align, size) == 0 ? p : NULL;
    case HAKR_VALLOC:
        return d->rare.valloc(size);
    case HAKR_PVALLOC:
        return d->rare.pvalloc(size);
    default: /* HAKR_REALLOCARRAY_NEW */
        return d->rare.reallocarray(NULL, 1, size);
    }
}
