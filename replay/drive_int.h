/*
 * What the drivers of the passes share.
 */
#ifndef REPLAY_DRIVE_INT_H
#define REPLAY_DRIVE_INT_H

#include <linux/futex.h>
#include <string.h>
#include "replay/drive.h"
#include "replay/raw.h"

#define PAGE          4096u
#define always_inline static inline __attribute__((always_inline))
#define likely(x)     __builtin_expect(!!(x), 1)
#define unlikely(x)   __builtin_expect(!!(x), 0)

/* Does what a HAKR_CONTROL word says. */
void hakr_control(const struct hakr_drive *d, struct hakr_shm_thread *t, uint64_t word);

/* The thread has done its last op of the epoch it is in, if it is in one. */
void hakr_leave_epoch(const struct hakr_drive *d, struct hakr_shm_thread *t);

/* The allocations other than malloc, calloc and realloc. */
void *hakr_rare_alloc(const struct hakr_drive *d, unsigned kind, uint64_t size,
                      unsigned align_log2);

/* Time pass: runs word x, which stands before w and is not of a bundle. Returns the word after it,
 * or NULL at the end. */
const uint64_t *hakr_run_other(const struct hakr_drive *d, struct hakr_shm_thread *t, uint64_t x,
                               const uint64_t *w, const uint64_t *words);

/* The streams of the passes. */
void hakr_drive_time(const struct hakr_drive *d, struct hakr_shm_thread *t, const uint64_t *words);
void hakr_drive_latency(const struct hakr_drive *d, struct hakr_shm_thread *t,
                        const uint64_t *words);
void hakr_drive_check(const struct hakr_drive *d, struct hakr_shm_thread *t, const uint64_t *words);

/* An allocation gave NULL. */
always_inline void note_failed(struct hakr_shm_thread *t) {
    if (t->failed++ == 0)
        t->failed_at = t->cursor;
}

/* Wakes those who sleep until this thread has come so far. */
void hakr_wake(struct hakr_shm_thread *t);

always_inline void publish(struct hakr_shm_thread *t, uint64_t pos) {
    __atomic_store_n(&t->progress, pos, __ATOMIC_RELEASE);
    if (unlikely(pos >= __atomic_load_n(&t->wanted, __ATOMIC_RELAXED)))
        hakr_wake(t);
}

always_inline void touch_block(char *p, uint64_t size, int touch, int zeroed) {
    if (touch == HAKR_TOUCH_ALL) {
        memset(p, 0x5a, size);
    } else if (touch == HAKR_TOUCH_FIRST && !zeroed && size != 0) {
        *(volatile char *)p = 1;
        uintptr_t end = (uintptr_t)p + size;
        for (uintptr_t q = ((uintptr_t)p | (PAGE - 1)) + 1; q < end; q += PAGE)
            *(volatile char *)q = 1;
    }
}

#endif
