/*
 * What a stream holds besides calls: waits for other threads, the drift limit, the recorded time.
 */
#include <sched.h>
#include <stdlib.h>
#include "replay/drive_int.h"
#include "replay/plan.h"
#include "replay/resident.h"

#define SLEEP_NS                         1000000000
#define SLEEP_UNSURE_NS                  500000 /* where a wake may be missed */
#define MEMBARRIER_CMD_PRIVATE_EXPEDITED (1 << 3)

static void sleep_on(uint32_t *word, uint32_t now, long most_ns) {
    struct timespec limit = {.tv_sec = most_ns / 1000000000, .tv_nsec = most_ns % 1000000000};
    hakr_raw(SYS_futex, (long)word, FUTEX_WAIT, now, (long)&limit, 0, 0);
}

__attribute__((noinline)) void hakr_wake(struct hakr_shm_thread *t) {
    __atomic_store_n(&t->wanted, UINT64_MAX, __ATOMIC_SEQ_CST);
    __atomic_fetch_add(&t->wakes, 1, __ATOMIC_SEQ_CST);
    hakr_raw(SYS_futex, (long)&t->wakes, FUTEX_WAKE, INT32_MAX, 0, 0, 0);
}

/* Asks thread p for a wake at position `target`, and sleeps. May return early.
 * The producer, who pays for each op, looks at `wanted` without a fence after its store; the one
 * who goes to sleep makes it have one. A wake between the two looks at `wakes` changes it, so the
 * sleep is none. Without membarrier a wake may be missed; hence the time limit of the sleep. */
static uint64_t sleep_until(const struct hakr_drive *d, struct hakr_shm_thread *p,
                            uint64_t target) {
    uint32_t wakes = __atomic_load_n(&p->wakes, __ATOMIC_SEQ_CST);
    uint64_t first = __atomic_load_n(&p->wanted, __ATOMIC_SEQ_CST);
    while (first > target && !__atomic_compare_exchange_n(&p->wanted, &first, target, 0,
                                                          __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST))
        ;
    if (d->fences)
        hakr_raw(SYS_membarrier, MEMBARRIER_CMD_PRIVATE_EXPEDITED, 0, 0, 0, 0, 0);
    uint64_t now = __atomic_load_n(&p->progress, __ATOMIC_ACQUIRE);
    if (now < target)
        sleep_on(&p->wakes, wakes, d->fences ? SLEEP_NS : SLEEP_UNSURE_NS);
    return __atomic_load_n(&p->progress, __ATOMIC_ACQUIRE);
}

/* Waits until thread p has published position `target`; returns how far it is. */
static __attribute__((noinline)) uint64_t wait_for(const struct hakr_drive *d,
                                                   struct hakr_shm_thread *t,
                                                   struct hakr_shm_thread *p, uint64_t target) {
    uint64_t now;
    t->blocked++;
    for (int i = 0; i < d->spins; i++) {
        __builtin_ia32_pause();
        if ((now = __atomic_load_n(&p->progress, __ATOMIC_ACQUIRE)) >= target)
            return now;
    }
    for (int i = 0; i < d->yields; i++) {
        sched_yield();
        if ((now = __atomic_load_n(&p->progress, __ATOMIC_ACQUIRE)) >= target)
            return now;
    }
    while ((now = sleep_until(d, p, target)) < target)
        ;
    return now;
}

/* A hand-over. What was seen of the other thread is noted: most hand-overs need no look at its
 * line, which it writes with each op that it publishes. */
static void heed_wait(const struct hakr_drive *d, struct hakr_shm_thread *t, uint32_t thread,
                      uint64_t target) {
    struct hakr_shm_thread *all = hakr_threads(d->ctl), *p = &all[thread];
    uint64_t *seen = d->seen != NULL ? &d->seen[(size_t)(t - all) * d->seen_stride + thread] : NULL;
    if (seen != NULL && *seen >= target)
        return;
    uint64_t now = __atomic_load_n(&p->progress, __ATOMIC_ACQUIRE);
    if (now < target)
        now = wait_for(d, t, p, target);
    if (seen != NULL)
        *seen = now;
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

/* Waits until all ops of the epoch are done. No wake is missed: the last one to be done changes
 * `done`, and then wakes. */
static void await_epoch(const struct hakr_drive *d, struct hakr_shm_thread *t,
                        struct hakr_epoch *e) {
    uint32_t now = __atomic_load_n(&e->done, __ATOMIC_ACQUIRE);
    if (now >= e->needs)
        return;
    t->held_back++;
    for (int i = 0; now < e->needs; i++) {
        if (i < d->yields)
            sched_yield();
        else
            sleep_on(&e->done, now, SLEEP_NS);
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
        await_epoch(d, t, &e[epoch - lag]);
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

/* Account pass: what is resident now was so through the recorded time that is about to pass. */
static void sample_pause(const struct hakr_drive *d, uint64_t recorded) {
    struct hakr_ctl *c = d->ctl;
    uint64_t last = __atomic_load_n(&c->sampled_ns, __ATOMIC_RELAXED);
    if (c->pass != HAKR_PASS_ACCOUNT || c->sample_every_ns == 0 || recorded < last ||
        recorded - last < c->sample_every_ns)
        return;
    if (__atomic_compare_exchange_n(&c->sampled_ns, &last, recorded, 0, __ATOMIC_RELAXED,
                                    __ATOMIC_RELAXED))
        hakr_sample(c, d->start_ns);
}

__attribute__((noinline)) void hakr_control(const struct hakr_drive *d, struct hakr_shm_thread *t,
                                            uint64_t word) {
    uint64_t value = hakr_control_value(word);
    switch (hakr_control_sort(word)) {
    case HAKR_WAIT:
        heed_wait(d, t, hakr_wait_thread(word), hakr_wait_position(word));
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
        sample_pause(d, value);
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
