#include "replay/drive.h"

#include <linux/futex.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>
#include "replay/drive_int.h"
#include "replay/plan.h"
#include "replay/raw.h"
#include "replay/resident.h"

#define WAIT_YIELDS   4
#define AHEAD         1024 /* bytes: the hardware does not fetch across pages */
#define WAIT_SLEEP_NS 500000

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
        struct timespec limit = {.tv_nsec = WAIT_SLEEP_NS};
        hakr_raw(SYS_futex, (long)&p->progress, FUTEX_WAIT, (uint32_t)now, (long)&limit, 0, 0);
    }
    __atomic_fetch_sub(&p->waiters, 1, __ATOMIC_RELAXED);
}

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

/* In the account pass each time is told; in the others, where telling must not show, every 1 ms. */
#define COARSE_NS 1000000u

__attribute__((noinline)) void hakr_tell_time(const struct hakr_drive *d, uint64_t ns) {
    struct hakr_ctl *c = d->ctl;
    uint64_t step = c->pass == HAKR_PASS_ACCOUNT ? 1 : COARSE_NS;
    if (d->hakmem == NULL || ns < __atomic_load_n(&c->clock_next, __ATOMIC_RELAXED))
        return;
    if (__atomic_exchange_n(&c->clock_lock, 1, __ATOMIC_ACQUIRE) != 0)
        return; /* another thread is at it */
    if (ns >= c->clock_next) {
        __atomic_store_n(&c->clock_next, ns + step, __ATOMIC_RELAXED);
        d->hakmem("clock", NULL, NULL, &ns, sizeof ns);
    }
    __atomic_store_n(&c->clock_lock, 0, __ATOMIC_RELEASE);
}

always_inline void account_op(const struct hakr_drive *d, struct hakr_shm_thread *t, unsigned kind,
                              uint32_t slot, uint64_t size, uint64_t *until) {
    uint64_t live = t->live;
    switch (kind) {
    case HAKR_FREE:
    case HAKR_REALLOC_ZERO:
        live -= d->sizes[slot];
        break;
    case HAKR_FREE_NULL:
        break;
    case HAKR_REALLOC:
    case HAKR_REALLOCARRAY:
        live -= d->sizes[slot];
        /* fall through */
    default:
        d->sizes[slot] = size;
        live += size;
    }
    __atomic_store_n(&t->live, live, __ATOMIC_RELAXED);
    __atomic_store_n(&t->ops, t->ops + 1, __ATOMIC_RELAXED);
    if (--*until == 0) {
        hakr_sample(d->ctl, d->start_ns);
        *until = d->ctl->sample_every;
    }
}

/* What is live in a slot after an allocation failed: a failed realloc leaves its object. */
always_inline uint64_t size_left(const struct hakr_drive *d, unsigned kind, uint32_t slot) {
    return kind == HAKR_REALLOC || kind == HAKR_REALLOCARRAY ? d->sizes[slot] : 0;
}

/* What an op that makes an object does once it has it: touch, book, publish. */
always_inline void made(const struct hakr_drive *d, struct hakr_shm_thread *t, uint64_t x,
                        uint64_t size, void *p, uint64_t pos, const int touch, const int account,
                        uint64_t *until) {
    unsigned kind = hakr_word_kind(x);
    if (likely(p != NULL))
        touch_block(p, size, touch, kind == HAKR_CALLOC);
    else
        note_failed(t);
    if (account)
        account_op(d, t, kind, hakr_word_slot(x),
                   likely(p != NULL) ? size : size_left(d, kind, hakr_word_slot(x)), until);
    if (unlikely(x & HAKR_PUBLISH))
        publish(t, pos);
}

/* All ops but the plain malloc and free: runs word x, which stands before w. Returns the word after
 * it, or NULL at the end. */
static __attribute__((noinline)) const uint64_t *
run_other(const struct hakr_drive *d, struct hakr_shm_thread *t, uint64_t x, const uint64_t *w,
          const uint64_t *words, const int touch, const int account, uint64_t *until) {
    struct hakr_shm_thread *threads = hakr_threads(d->ctl);
    unsigned kind = hakr_word_kind(x), align = 0;
    uint32_t slot = hakr_word_slot(x);
    uint64_t size = hakr_word_size(x);
    void **at = &d->slots[slot], *p;
    if (x & HAKR_WIDE) {
        size = hakr_wide_size(*w);
        align = hakr_wide_align(*w++);
    }
    switch (kind) {
    case HAKR_END:
        return NULL;
    case HAKR_WAIT:
        if (x & HAKR_WIDE) {
            hakr_tell_time(d, size);
            return w;
        }
        if (__atomic_load_n(&threads[slot].progress, __ATOMIC_ACQUIRE) < *w)
            hakr_wait_for(d, t, &threads[slot], *w);
        return w + 1;
    case HAKR_FREE_NULL:
        free(NULL);
        break;
    case HAKR_REALLOC_ZERO:
        p = realloc(*at, 0);
        if (p != NULL)
            free(p);
        break;
    case HAKR_MALLOC:
        p = *at = malloc(size);
        goto made;
    case HAKR_CALLOC:
        p = *at = calloc(1, size);
        goto made;
    case HAKR_REALLOC:
    case HAKR_REALLOCARRAY:
        p = kind == HAKR_REALLOC ? realloc(*at, size) : d->rare.reallocarray(*at, 1, size);
        if (p != NULL) /* else the object stays where it is */
            *at = p;
        goto made;
    case HAKR_REALLOC_NEW:
        p = *at = realloc(NULL, size);
        goto made;
    default:
        p = *at = hakr_rare_alloc(d, kind, size, align);
    made:
        made(d, t, x, size, p, (uint64_t)(w - words), touch, account, until);
        return w;
    }
    if (account)
        account_op(d, t, kind, slot, 0, until);
    return w;
}

always_inline void run(const struct hakr_drive *d, struct hakr_shm_thread *t, const uint64_t *words,
                       const int touch, const int account) {
    void **slots = d->slots;
    uint64_t until = t->first_sample;
    const uint64_t *w = words;
    while (w != NULL) {
        uint64_t x = *w++;
        __atomic_store_n(&t->cursor, (uint64_t)(uintptr_t)w, __ATOMIC_RELAXED);
        __builtin_prefetch((const char *)w + AHEAD);
        uint32_t slot = hakr_word_slot(x);
        if (hakr_word_kind(x) == HAKR_FREE) {
            if (account)
                account_op(d, t, HAKR_FREE, slot, 0, &until);
            free(slots[slot]);
        } else if (likely((x & (HAKR_KIND_MASK | HAKR_WIDE)) == HAKR_MALLOC)) {
            uint64_t size = hakr_word_size(x);
            void *p = malloc(size);
            slots[slot] = p;
            made(d, t, x, size, p, (uint64_t)(w - words), touch, account, &until);
        } else {
            w = run_other(d, t, x, w, words, touch, account, &until);
        }
    }
}

void hakr_drive(const struct hakr_drive *d, struct hakr_shm_thread *t, const uint64_t *words) {
    uint32_t touch = d->ctl->touch;
    if (d->ctl->pass == HAKR_PASS_LATENCY) {
        hakr_drive_latency(d, t, words);
        return;
    }
    if (d->ctl->pass == HAKR_PASS_ACCOUNT) {
        if (touch == HAKR_TOUCH_FIRST)
            run(d, t, words, HAKR_TOUCH_FIRST, 1);
        else if (touch == HAKR_TOUCH_NONE)
            run(d, t, words, HAKR_TOUCH_NONE, 1);
        else
            run(d, t, words, HAKR_TOUCH_ALL, 1);
    } else {
        if (touch == HAKR_TOUCH_FIRST)
            run(d, t, words, HAKR_TOUCH_FIRST, 0);
        else if (touch == HAKR_TOUCH_NONE)
            run(d, t, words, HAKR_TOUCH_NONE, 0);
        else
            run(d, t, words, HAKR_TOUCH_ALL, 0);
    }
}
