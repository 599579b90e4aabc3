/*
 * The driver of the check pass: every block is filled with a pattern of its own, which is verified
 * before the block is freed, before and after it is reallocated, and at the end. So what an
 * allocator does to its user's bytes is seen: blocks that overlap, are handed out twice, are not
 * copied whole, or not zero after calloc; and addresses that are not aligned as asked for.
 */
#include <stdlib.h>
#include "replay/drive_int.h"
#include "replay/plan.h"

/* Any function of seed and place that differs from block to block and byte to byte. */
static inline uint8_t pattern(uint64_t seed, uint64_t i) {
    uint64_t x = seed + (i >> 3) * UINT64_C(0x9E3779B97F4A7C15);
    x ^= x >> 29;
    return (uint8_t)(x >> 8 * (i & 7));
}

static void fill(uint8_t *p, uint64_t size, uint64_t seed) {
    for (uint64_t i = 0; i < size; i++)
        p[i] = pattern(seed, i);
}

/* The first byte that is not the pattern's; UINT64_MAX if all are. */
static uint64_t first_wrong(const uint8_t *p, uint64_t size, uint64_t seed) {
    for (uint64_t i = 0; i < size; i++)
        if (p[i] != pattern(seed, i))
            return i;
    return UINT64_MAX;
}

static void note(struct hakr_shm_thread *t, enum hakr_wrong what, uint64_t where, uint64_t got,
                 uint64_t want) {
    if (t->wrong++ != 0)
        return;
    t->wrong_at = t->cursor;
    t->wrong_what = what;
    t->wrong_where = where;
    t->wrong_got = got;
    t->wrong_want = want;
}

static void verify(struct hakr_shm_thread *t, const uint8_t *p, uint64_t size, uint64_t seed,
                   enum hakr_wrong what) {
    uint64_t i = first_wrong(p, size, seed);
    t->checked_blocks++;
    t->checked_bytes += size;
    if (i != UINT64_MAX)
        note(t, what, i, p[i], pattern(seed, i));
}

/* The alignment that malloc owes: that of any object which fits. */
static uint64_t owed_alignment(unsigned kind, uint64_t size, unsigned align_log2) {
    uint64_t owed = size >= 16 ? 16 : size >= 8 ? 8 : 1;
    if (kind == HAKR_VALLOC || kind == HAKR_PVALLOC)
        return PAGE;
    return owed > UINT64_C(1) << align_log2 ? owed : UINT64_C(1) << align_log2;
}

/* A new block: looks at its address, and at calloc's zeros; then writes its pattern. */
static void take(const struct hakr_drive *d, struct hakr_shm_thread *t, unsigned kind,
                 uint32_t slot, uint64_t size, unsigned align_log2) {
    uint8_t *p = d->slots[slot];
    uint64_t owed = owed_alignment(kind, size, align_log2);
    if ((uintptr_t)p % owed != 0)
        note(t, HAKR_WRONG_ALIGNMENT, (uintptr_t)p, (uintptr_t)p % owed, owed);
    for (uint64_t i = 0; kind == HAKR_CALLOC && i < size; i++)
        if (p[i] != 0) {
            note(t, HAKR_WRONG_ZERO, i, p[i], 0);
            break;
        }
    d->sizes[slot] = size;
    d->seeds[slot] = ((uint64_t)(t - hakr_threads(d->ctl) + 1) << 40) + ++t->ops;
    fill(p, size, d->seeds[slot]);
}

static void run_realloc(const struct hakr_drive *d, struct hakr_shm_thread *t, unsigned kind,
                        uint32_t slot, uint64_t size) {
    void *p = d->slots[slot], *q;
    uint64_t old = d->sizes[slot];
    verify(t, p, old, d->seeds[slot], HAKR_WRONG_BEFORE);
    q = kind == HAKR_REALLOC ? realloc(p, size) : d->rare.reallocarray(p, 1, size);
    if (q == NULL) {
        note_failed(t);
        return;
    }
    verify(t, q, old < size ? old : size, d->seeds[slot], HAKR_WRONG_COPY);
    d->slots[slot] = q;
    take(d, t, kind, slot, size, 0);
}

/* Frees what is in the slot after a look at it. */
static void release(const struct hakr_drive *d, struct hakr_shm_thread *t, unsigned kind,
                    uint32_t slot) {
    void *p = d->slots[slot];
    if (p != NULL)
        verify(t, p, d->sizes[slot], d->seeds[slot], HAKR_WRONG_BEFORE);
    d->seeds[slot] = 0;
    free(kind == HAKR_REALLOC_ZERO ? realloc(p, 0) : p);
}

static void allocate(const struct hakr_drive *d, struct hakr_shm_thread *t, unsigned kind,
                     uint32_t slot, uint64_t size, unsigned align_log2) {
    void *p;
    if (kind == HAKR_MALLOC)
        p = malloc(size);
    else if (kind == HAKR_CALLOC)
        p = calloc(1, size);
    else if (kind == HAKR_REALLOC_NEW)
        p = realloc(NULL, size);
    else
        p = hakr_rare_alloc(d, kind, size, align_log2);
    d->slots[slot] = p;
    d->seeds[slot] = 0;
    if (p == NULL)
        note_failed(t);
    else
        take(d, t, kind, slot, size, align_log2);
}

void hakr_drive_check(const struct hakr_drive *d, struct hakr_shm_thread *t,
                      const uint64_t *words) {
    for (const uint64_t *w = words;;) {
        uint64_t x = hakr_word_alone(*w++), size = hakr_word_size(x);
        unsigned kind = hakr_word_kind(x), align_log2 = 0;
        uint32_t slot = hakr_word_slot(x);
        __atomic_store_n(&t->cursor, (uint64_t)(uintptr_t)w, __ATOMIC_RELAXED);
        if (hakr_word_length(x) == 2) {
            size = hakr_wide_size(*w);
            align_log2 = hakr_wide_align(*w++);
        }
        if (kind == HAKR_END)
            return;
        if (kind == HAKR_CONTROL) {
            hakr_control(d, t, x);
            continue;
        }
        if (kind == HAKR_FREE_NULL)
            free(NULL);
        else if (kind == HAKR_FREE || kind == HAKR_REALLOC_ZERO)
            release(d, t, kind, slot);
        else if ((kind == HAKR_REALLOC || kind == HAKR_REALLOCARRAY) && d->slots[slot] != NULL)
            run_realloc(d, t, kind, slot, size);
        else
            allocate(d, t,
                     kind == HAKR_REALLOC || kind == HAKR_REALLOCARRAY ? HAKR_REALLOC_NEW : kind,
                     slot, size, align_log2);
        if (x & HAKR_PUBLISH)
            publish(t, (uint64_t)(w - words));
    }
}

void hakr_check_rest(const struct hakr_drive *d, struct hakr_shm_thread *t) {
    for (uint64_t i = 0; i < d->ctl->n_slots; i++)
        if (d->seeds[i] != 0)
            verify(t, d->slots[i], d->sizes[i], d->seeds[i], HAKR_WRONG_AT_END);
}
