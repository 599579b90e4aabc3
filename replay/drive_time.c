/*
 * The driver of the time pass: bundles of simple ops (plan_words.h) run without a branch between
 * them, so that an op costs the driver a few instructions and a quarter of a misprediction.
 */
#include <stdlib.h>
#include "replay/drive_int.h"
#include "replay/plan.h"

#define AHEAD_BYTES 1024 /* of the stream: the hardware does not fetch across pages */
#define AHEAD_SLOTS 24u  /* ops whose slot is fetched ahead: some 100 ns */

/* Below this the slot table stays in the second-level cache by itself. */
#define SLOTS_IN_CACHE (UINT64_C(512) << 10)

/* A block of 1 to PAGE bytes lies in one page or in two: a byte in each, without a branch. */
always_inline void touch_simple(char *p, uint64_t size) {
    uintptr_t first = (uintptr_t)p, last = (first + size - 1) & ~(uintptr_t)(PAGE - 1);
    *(volatile char *)first = 1;
    *(volatile char *)(last > first ? last : first) = 1;
}

/* Read where they are needed: to read again is cheaper than to keep over the call. */
always_inline uint64_t simple_size(const uint64_t *w) {
    return *(const volatile uint32_t *)w >> HAKR_SIZE_SHIFT & (2 * HAKR_SIMPLE_MAX - 1);
}
always_inline uint32_t simple_slot(const uint64_t *w) {
    return ((const volatile uint32_t *)w)[1];
}

/* Op `i` of a bundle of n. All but w is known to the compiler. */
always_inline void simple_op(void **slots, struct hakr_shm_thread *t, const uint64_t *w,
                             const unsigned pattern, const unsigned n, const unsigned i,
                             const int ahead) {
    if (i >= n)
        return;
    __atomic_store_n(&t->cursor, (uint64_t)(uintptr_t)(w + i + 1), __ATOMIC_RELAXED);
    if (ahead)
        __builtin_prefetch(&slots[hakr_word_slot(w[i + AHEAD_SLOTS])], 1);
    if (pattern >> (n - 1 - i) & 1) {
        char *p = malloc(simple_size(w + i));
        slots[simple_slot(w + i)] = p;
        if (unlikely(p == NULL))
            note_failed(t);
        else
            touch_simple(p, simple_size(w + i));
    } else {
        free(slots[simple_slot(w + i)]);
    }
}

always_inline const uint64_t *bundle(void **slots, struct hakr_shm_thread *t, const uint64_t *w,
                                     const unsigned pattern, const int ahead) {
    const unsigned n = 31u - (unsigned)__builtin_clz(pattern);
    __builtin_prefetch((const char *)w + AHEAD_BYTES);
    simple_op(slots, t, w, pattern, n, 0, ahead);
    simple_op(slots, t, w, pattern, n, 1, ahead);
    simple_op(slots, t, w, pattern, n, 2, ahead);
    simple_op(slots, t, w, pattern, n, 3, ahead);
    return w + n;
}

#define CASE(k)                                                                                    \
    case k:                                                                                        \
        w = bundle(slots, t, w, k, ahead);                                                         \
        break;
#define CASES4(k) CASE(k) CASE((k) + 1) CASE((k) + 2) CASE((k) + 3)

always_inline void run(const struct hakr_drive *d, struct hakr_shm_thread *t, const uint64_t *words,
                       const int ahead) {
    void **slots = d->slots;
    const uint64_t *w = words;
    while (w != NULL) {
        switch (hakr_word_bundle(*w)) {
            CASE(2)
            CASE(3)
            CASES4(4)
            CASES4(8)
            CASES4(12)
            CASES4(16)
            CASES4(20)
            CASES4(24)
            CASES4(28)
        default:
            __atomic_store_n(&t->cursor, (uint64_t)(uintptr_t)(w + 1), __ATOMIC_RELAXED);
            w = hakr_run_other(d, t, *w, w + 1, words);
        }
    }
}

static __attribute__((noinline)) void run_near(const struct hakr_drive *d,
                                               struct hakr_shm_thread *t, const uint64_t *words) {
    run(d, t, words, 0);
}
static __attribute__((noinline)) void run_far(const struct hakr_drive *d, struct hakr_shm_thread *t,
                                              const uint64_t *words) {
    run(d, t, words, 1);
}

void hakr_drive_time(const struct hakr_drive *d, struct hakr_shm_thread *t, const uint64_t *words) {
    if (d->ctl->n_slots * sizeof(void *) > SLOTS_IN_CACHE)
        run_far(d, t, words);
    else
        run_near(d, t, words);
}
