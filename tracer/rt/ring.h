/*
 * The producer's side of a ring: what a wrapper does for each op. No lock, no system call, no
 * allocation; the slow path (hakt_ring_make_room, ring.c) is entered once per half ring, when the
 * ring is full, and for a thread that has no ring.
 */
#ifndef TRACER_RT_RING_H
#define TRACER_RT_RING_H

#include "tracer/rt/trace_shm.h"

#include <stdint.h>

/*
 * A thread's own state, in memory that the kernel clears in a forked child (MADV_WIPEONFORK): there
 * limit is 0, so a child of any kind of fork enters the slow path at its first op and never writes
 * into its parent's ring. The hot path uses the first cache line alone.
 */
struct hakt_ring {
    _Alignas(64) uint64_t head; /* next word to reserve */
    uint64_t limit;             /* slow path from here on; 0 if it is every op's: see `end` */
    uint64_t *words;
    const uint64_t *heartbeat; /* the collector's */
    uint64_t last;             /* the last stamp */
    uint64_t beat;             /* the heartbeat then */
    uint32_t mask;             /* words - 1 */
    uint32_t burst;            /* raw time; stamps closer than this are a burst */
    uint32_t owner;            /* the thread's number in owner.h */
    uint8_t pace;              /* of a burst, one op in this many is stamped */
    uint8_t spare;             /* so many more ops may go unstamped */
    uint8_t log2;              /* of the words */
    uint64_t end;              /* full, or time to look at the tail: `limit` with the TSC */
    uint32_t clock;            /* enum hakt_shm_clock */
    uint32_t gave_up;          /* the collector was found stuck: no waiting until its heart beats */
    uint64_t gave_up_at;       /* that heartbeat */
    struct hakt_shm_slot *slot;
    struct hakt_shm *shm;
};

/*
 * How a record is stamped.
 *
 * PACED: reading the clock is the dearest part of recording. So in a burst (stamps closer together
 * than `burst`) only one op in `pace` is stamped, and the collector places the others between.
 * Never in a burst's first op after a pause that the collector has noticed: its heartbeat has moved
 * on. For ops whose place among other threads' does not matter: see owner.h.
 *
 * SETTLED: the stamp is taken only once all earlier loads are done. A CPU may read its counter
 * while it still waits for the pointer that another thread hands over; then this thread's free
 * would bear an earlier time than the other's free of the same address one life before, and
 * stamps could no longer tell the two lives apart. It costs some 6 to 10 ns more.
 */
enum hakt_stamp {
    HAKT_STAMP_PACED,
    HAKT_STAMP_SETTLED,
};

/* Takes the next n words. One instruction on x86-64, so that a signal handler gets the next ones.
 * The line is this thread's alone: no lock prefix. */
static inline uint64_t hakt_ring_reserve(struct hakt_ring *r, uint64_t n) {
#if defined(__x86_64__)
    __asm__ volatile("xaddq %0, %1" : "+r"(n), "+m"(r->head) : : "memory", "cc");
    return n;
#else
    return __atomic_fetch_add(&r->head, n, __ATOMIC_RELAXED);
#endif
}

/* Either clock. Not for the hot path. */
uint64_t hakt_ring_now(const struct hakt_ring *r);

/* The clock of the hot path. Where it is not to be had, limit stays 0. */
static inline uint64_t hakt_ring_tsc(void) {
#if defined(__x86_64__)
    return __builtin_ia32_rdtsc();
#else
    return 0;
#endif
}

/* Room for a record without the slow path? */
static inline int hakt_ring_has_room(const struct hakt_ring *r) {
    return __builtin_expect(__atomic_load_n(&r->head, __ATOMIC_RELAXED) <
                                __atomic_load_n(&r->limit, __ATOMIC_RELAXED),
                            1);
}

/* May this op go unstamped? A handler that comes between costs at most a stamp. */
static inline int hakt_ring_spares(struct hakt_ring *r) {
    if (r->spare == 0 || __atomic_load_n(r->heartbeat, __ATOMIC_RELAXED) != r->beat)
        return 0;
    r->spare--;
    return 1;
}

/* A paced op was stamped. */
static inline void hakt_ring_stamped(struct hakt_ring *r, uint64_t now) {
    r->spare = now - r->last < r->burst ? r->pace - 1 : 0;
    r->last = now;
    r->beat = __atomic_load_n(r->heartbeat, __ATOMIC_RELAXED);
}

/* Publishes a record of any form. */
__attribute__((cold)) void hakt_ring_write_any(struct hakt_ring *r, const struct hakt_shm_rec *rec);

/* Publishes a record; `stamped` is known where this is called. */
__attribute__((always_inline)) static inline void hakt_ring_write(struct hakt_ring *r, unsigned op,
                                                                  unsigned align_log2, uint64_t ptr,
                                                                  uint64_t size, int stamped,
                                                                  uint64_t time) {
    uint64_t form = op == HAKT_SHM_FREE ? HAKT_SHM_SHORT_FREE : HAKT_SHM_SHORT_MALLOC;
    uint64_t first = HAKT_SHM_FIRST | form << HAKT_SHM_FORM_SHIFT | ptr / 8 |
                     size << HAKT_SHM_SIZE_SHIFT | (stamped ? HAKT_SHM_STAMPED : 0);
    if (__builtin_expect((op & ~(unsigned)HAKT_SHM_FREE) != 0 || align_log2 != 0 || ptr % 8 != 0 ||
                             ptr >= HAKT_SHM_SHORT_PTR || size >= HAKT_SHM_SHORT_SIZE,
                         0)) {
        struct hakt_shm_rec rec = {
            time, ptr, size, (uint8_t)op, (uint8_t)align_log2, (uint8_t)stamped};
        hakt_ring_write_any(r, &rec);
        return;
    }
    uint64_t i = hakt_ring_reserve(r, stamped ? 2 : 1);
    if (stamped)
        __atomic_store_n(&r->words[(i + 1) & r->mask], time & ~HAKT_SHM_FIRST, __ATOMIC_RELAXED);
    __atomic_store_n(&r->words[i & r->mask], first | hakt_shm_lap(i, r->log2) << HAKT_SHM_LAP_SHIFT,
                     __ATOMIC_RELEASE);
}

/* Publishes a record, stamped by the TSC. The caller has seen room. */
__attribute__((always_inline)) static inline void hakt_ring_put(struct hakt_ring *r, unsigned op,
                                                                unsigned align_log2, uint64_t ptr,
                                                                uint64_t size,
                                                                enum hakt_stamp stamp) {
    if (stamp == HAKT_STAMP_PACED && hakt_ring_spares(r)) {
        hakt_ring_write(r, op, align_log2, ptr, size, 0, 0);
        return;
    }
#if defined(__x86_64__)
    if (stamp == HAKT_STAMP_SETTLED)
        __asm__ volatile("lfence" : : : "memory");
#endif
    uint64_t time = hakt_ring_tsc();
    hakt_ring_stamped(r, time);
    hakt_ring_write(r, op, align_log2, ptr, size, 1, time);
}

/* The same by whichever clock it is. CLOCK_MONOTONIC is read in order as it is. */
void hakt_ring_put_any(struct hakt_ring *r, unsigned op, unsigned align_log2, uint64_t ptr,
                       uint64_t size, enum hakt_stamp stamp);

enum hakt_ring_room {
    HAKT_ROOM = 0,
    HAKT_ROOM_DROPPED = 1,   /* the op is lost, and counted in the slot */
    HAKT_ROOM_COLLECTOR = 2, /* the collector is dead or has stopped: nobody will ever read */
};

/* Binds r to slot number `slot` of shm, whose memory is accessible. */
void hakt_ring_bind(struct hakt_ring *r, struct hakt_shm *shm, uint32_t slot);

/* The ring is at its limit: looks at the tail; waits, or counts a loss, as the collector's settings
 * say. Never waits for longer than it takes to see that the collector is dead, or than about 10 s
 * for one that is stuck. Changes errno. */
enum hakt_ring_room hakt_ring_make_room(struct hakt_ring *r);

/* Wakes the collector if it sleeps. Changes errno. */
void hakt_ring_bell(struct hakt_shm *shm);

#endif
