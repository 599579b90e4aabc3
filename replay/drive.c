#include "replay/drive.h"

#include <stdlib.h>
#include "replay/drive_int.h"
#include "replay/fault_time.h"
#include "replay/plan.h"
#include "replay/raw.h"
#include "replay/resident.h"

/* The driver of the account pass, and of the time pass where every byte is written. */

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

/* The op that began at `start` has made and touched its object. */
always_inline void time_op(struct hakr_fault_time *f, const struct hakr_fault_start *start) {
    uint64_t ns = hakr_now() - start->ns;
    if (likely(ns < HAKR_FAULT_LEAST_NS)) {
        f->quick_ops++;
        f->quick_ns += ns;
    } else {
        hakr_fault_time_look(f, start, ns);
    }
}

/* What is live in a slot after an allocation failed: a failed realloc leaves its object. */
always_inline uint64_t size_left(const struct hakr_drive *d, unsigned kind, uint32_t slot) {
    return kind == HAKR_REALLOC || kind == HAKR_REALLOCARRAY ? d->sizes[slot] : 0;
}

/* What an op that makes an object does once it has it: touch, book, publish. */
always_inline void made(const struct hakr_drive *d, struct hakr_shm_thread *t, uint64_t x,
                        uint64_t size, void *p, uint64_t pos, const int touch, const int account,
                        struct hakr_fault_start *start, uint64_t *until) {
    unsigned kind = hakr_word_kind(x);
    if (account && unlikely(t->fault.trapped != start->trapped))
        hakr_fault_time_restart(&t->fault, start);
    if (likely(p != NULL))
        touch_block(p, size, touch, kind == HAKR_CALLOC);
    else
        note_failed(t);
    if (account) {
        time_op(&t->fault, start);
        account_op(d, t, kind, hakr_word_slot(x),
                   likely(p != NULL) ? size : size_left(d, kind, hakr_word_slot(x)), until);
    }
    if (unlikely(x & HAKR_PUBLISH))
        publish(t, pos);
}

/* Runs word x, which stands before w and is taken alone. Returns the word after it, or NULL at the
 * end. */
always_inline const uint64_t *run_op(const struct hakr_drive *d, struct hakr_shm_thread *t,
                                     uint64_t x, const uint64_t *w, const uint64_t *words,
                                     const int touch, const int account, uint64_t *until) {
    unsigned kind = hakr_word_kind(x), align = 0;
    uint32_t slot = hakr_word_slot(x);
    uint64_t size = hakr_word_size(x);
    void **at = &d->slots[slot], *p;
    struct hakr_fault_start start = {0, 0};
    if (account)
        start = (struct hakr_fault_start){hakr_now(), t->fault.trapped};
    if (hakr_word_length(x) == 2) {
        size = hakr_wide_size(*w);
        align = hakr_wide_align(*w++);
    }
    switch (kind) {
    case HAKR_END:
        return NULL;
    case HAKR_CONTROL:
        hakr_control(d, t, x);
        return w;
    case HAKR_FREE:
        if (account) /* before: a call made by it must find the size */
            account_op(d, t, kind, slot, 0, until);
        free(*at);
        if (unlikely(x & HAKR_PUBLISH))
            publish(t, (uint64_t)(w - words));
        return w;
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
        made(d, t, x, size, p, (uint64_t)(w - words), touch, account, &start, until);
        return w;
    }
    if (account)
        account_op(d, t, kind, slot, 0, until);
    if (unlikely(x & HAKR_PUBLISH))
        publish(t, (uint64_t)(w - words));
    return w;
}

always_inline void run(const struct hakr_drive *d, struct hakr_shm_thread *t, const uint64_t *words,
                       const int touch, const int account) {
    uint64_t until = t->first_sample;
    if (account)
        hakr_fault_time_begin(&t->fault);
    for (const uint64_t *w = words; w != NULL;) {
        uint64_t x = hakr_word_alone(*w++);
        __atomic_store_n(&t->cursor, (uint64_t)(uintptr_t)w, __ATOMIC_RELAXED);
        w = run_op(d, t, x, w, words, touch, account, &until);
    }
}

const uint64_t *hakr_run_other(const struct hakr_drive *d, struct hakr_shm_thread *t, uint64_t x,
                               const uint64_t *w, const uint64_t *words) {
    return run_op(d, t, x, w, words, HAKR_TOUCH_FIRST, 0, NULL);
}

void hakr_drive(const struct hakr_drive *d, struct hakr_shm_thread *t, const uint64_t *words) {
    uint32_t touch = d->ctl->touch, pass = d->ctl->pass;
    int timed = pass == HAKR_PASS_TIME || pass == HAKR_PASS_COUNTERS;
    if (pass == HAKR_PASS_LATENCY || pass == HAKR_PASS_INSIDE)
        hakr_drive_latency(d, t, words);
    else if (pass == HAKR_PASS_CHECK)
        hakr_drive_check(d, t, words);
    else if (timed && touch == HAKR_TOUCH_ALL)
        run(d, t, words, HAKR_TOUCH_ALL, 0);
    else if (timed && touch == HAKR_TOUCH_NONE)
        run(d, t, words, HAKR_TOUCH_NONE, 0);
    else if (timed)
        hakr_drive_time(d, t, words);
    else if (touch == HAKR_TOUCH_FIRST)
        run(d, t, words, HAKR_TOUCH_FIRST, 1);
    else if (touch == HAKR_TOUCH_NONE)
        run(d, t, words, HAKR_TOUCH_NONE, 1);
    else
        run(d, t, words, HAKR_TOUCH_ALL, 1);
    hakr_leave_epoch(d, t);
}
