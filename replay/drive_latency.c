#include <stdlib.h>
#include "replay/drive_int.h"
#include "replay/plan.h"
#include "replay/tick.h"

static const uint8_t lat_of[16] = {
    [HAKR_MALLOC] = HAKR_LAT_MALLOC,          [HAKR_CALLOC] = HAKR_LAT_CALLOC,
    [HAKR_REALLOC] = HAKR_LAT_REALLOC,        [HAKR_FREE] = HAKR_LAT_FREE,
    [HAKR_MEMALIGN] = HAKR_LAT_ALIGNED,       [HAKR_ALIGNED_ALLOC] = HAKR_LAT_ALIGNED,
    [HAKR_POSIX_MEMALIGN] = HAKR_LAT_ALIGNED, [HAKR_VALLOC] = HAKR_LAT_ALIGNED,
    [HAKR_PVALLOC] = HAKR_LAT_ALIGNED,        [HAKR_REALLOCARRAY] = HAKR_LAT_REALLOC,
    [HAKR_FREE_NULL] = HAKR_LAT_FREE,         [HAKR_REALLOC_NEW] = HAKR_LAT_REALLOC,
    [HAKR_REALLOC_ZERO] = HAKR_LAT_REALLOC,   [HAKR_REALLOCARRAY_NEW] = HAKR_LAT_REALLOC,
};

/* One op being run. */
struct op {
    unsigned kind, align;
    uint32_t slot;
    uint64_t size;
};

static __attribute__((noinline)) void note_slow(const struct hakr_drive *d,
                                                struct hakr_shm_thread *t, const struct op *op,
                                                uint64_t size, uint64_t ticks) {
    uint32_t thread = (uint32_t)(t - hakr_threads(d->ctl)), n = d->ctl->slowest, least = 0;
    struct hakr_slow *s = hakr_slowest(d->ctl, thread);
    if (n == 0)
        return;
    for (uint32_t i = 1; i < n; i++) /* replaces the quickest of the list */
        least = s[i].ticks < s[least].ticks ? i : least;
    s[least] = (struct hakr_slow){ticks, t->ops, size, thread, op->kind};
    t->slow_least = UINT64_MAX;
    for (uint32_t i = 0; i < n; i++)
        t->slow_least = s[i].ticks < t->slow_least ? s[i].ticks : t->slow_least;
}

always_inline void note(const struct hakr_drive *d, struct hakr_shm_thread *t, const struct op *op,
                        uint64_t size, uint64_t t0, uint64_t t1, const int inside) {
    if (inside) {
        t->ops++;
        return;
    }
    unsigned cell = hakr_latency_cell(lat_of[op->kind], hakr_size_class(size));
    struct hakc_hist *h = hakr_hist(d->ctl, (uint32_t)(t - hakr_threads(d->ctl)), cell);
    uint64_t ticks = t1 - t0;
    if (unlikely(t1 < t0)) { /* the thread moved to a processor whose counter lags */
        t->backwards++;
        ticks = 0;
    }
    if (unlikely(h->count == 0)) { /* the rest of an empty histogram is zeros */
        h->min = UINT64_MAX;
        t->hists_used[cell / 64] |= UINT64_C(1) << cell % 64;
    }
    hakc_hist_add(h, ticks);
    if (unlikely(ticks > t->slow_least))
        note_slow(d, t, op, size, ticks);
    t->ops++;
}

/* Inside pass: the call is looked into if it is one of the ops that were asked for, not timed. */
#define TIMED(call)                                                                                \
    do {                                                                                           \
        int look = inside && unlikely(t->ops == t->inside_at);                                     \
        if (look)                                                                                  \
            hakr_inside_begin(d->ctl, t);                                                          \
        t0 = inside ? 0 : hakr_tick(tsc);                                                          \
        call;                                                                                      \
        t1 = inside ? 0 : hakr_tick(tsc);                                                          \
        if (look)                                                                                  \
            hakr_inside_end(d->ctl, t);                                                            \
    } while (0)

/* Runs one op; returns whether it makes an object, with its block in *made. */
always_inline int run_op(const struct hakr_drive *d, struct hakr_shm_thread *t, const struct op *op,
                         const int tsc, const int inside, void **made) {
    void **at = &d->slots[op->slot], *p = NULL;
    uint64_t t0, t1, size = op->size, *old = &d->sizes[op->slot];
    switch (op->kind) {
    case HAKR_FREE:
        p = *at;
        TIMED(free(p));
        note(d, t, op, *old, t0, t1, inside);
        return 0;
    case HAKR_FREE_NULL:
        TIMED(free(NULL));
        note(d, t, op, 0, t0, t1, inside);
        return 0;
    case HAKR_REALLOC_ZERO:
        p = *at;
        TIMED(p = realloc(p, 0));
        note(d, t, op, *old, t0, t1, inside);
        free(p);
        return 0;
    case HAKR_REALLOC:
    case HAKR_REALLOCARRAY:
        p = *at;
        if (op->kind == HAKR_REALLOC)
            TIMED(p = realloc(p, size));
        else
            TIMED(p = d->rare.reallocarray(p, 1, size));
        if (p != NULL) /* else the object stays where it is */
            *at = p;
        break;
    case HAKR_MALLOC:
        TIMED(p = malloc(size));
        *at = p;
        break;
    case HAKR_CALLOC:
        TIMED(p = calloc(1, size));
        *at = p;
        break;
    case HAKR_REALLOC_NEW:
        TIMED(p = realloc(NULL, size));
        *at = p;
        break;
    default:
        TIMED(p = hakr_rare_alloc(d, op->kind, size, op->align));
        *at = p;
    }
    *old = size;
    note(d, t, op, size, t0, t1, inside);
    *made = p;
    return 1;
}

always_inline void run(const struct hakr_drive *d, struct hakr_shm_thread *t, const uint64_t *words,
                       const int tsc, const int inside) {
    int touch = (int)d->ctl->touch;
    for (const uint64_t *w = words;;) {
        uint64_t x = hakr_word_alone(*w++);
        __atomic_store_n(&t->cursor, (uint64_t)(uintptr_t)w, __ATOMIC_RELAXED);
        struct op op = {
            .kind = hakr_word_kind(x), .slot = hakr_word_slot(x), .size = hakr_word_size(x)};
        void *p;
        if (op.kind == HAKR_END)
            return;
        if (op.kind == HAKR_CONTROL) {
            hakr_control(d, t, x);
            continue;
        }
        if (x & HAKR_WIDE) {
            op.size = hakr_wide_size(*w);
            op.align = hakr_wide_align(*w++);
        }
        int makes = run_op(d, t, &op, tsc, inside, &p);
        if (makes && likely(p != NULL)) /* outside the timed region */
            touch_block(p, op.size, touch, op.kind == HAKR_CALLOC);
        else if (makes)
            note_failed(t);
        if (x & HAKR_PUBLISH)
            publish(t, (uint64_t)(w - words));
    }
}

void hakr_drive_latency(const struct hakr_drive *d, struct hakr_shm_thread *t,
                        const uint64_t *words) {
    if (d->ctl->pass == HAKR_PASS_INSIDE)
        run(d, t, words, 0, 1);
    else if (d->ctl->tsc)
        run(d, t, words, 1, 0);
    else
        run(d, t, words, 0, 0);
}
