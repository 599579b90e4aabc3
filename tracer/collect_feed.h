/*
 * A ring as the collector sees it: taking records out of it, giving room back, and what stands in
 * between. Records go out of the ring in blocks; when the ring is filling up, into the backlog
 * first (collect_backlog.h). The times of records that were not stamped are settled on the way.
 *
 * Private to the collector.
 */
#ifndef TRACER_COLLECT_FEED_H
#define TRACER_COLLECT_FEED_H

#include "tracer/collect_backlog.h"
#include "tracer/collect_resolve.h"
#include "tracer/rt/trace_shm.h"

#include <stdint.h>

struct hakt_feed {
    uint64_t cursor; /* next index to take out of the ring */
    uint64_t tail;   /* given back up to here */
    uint64_t mask;   /* words of the ring - 1 */
    unsigned log2;
    const uint64_t *words;
    struct hakt_shm_slot *slot;
    struct hakt_taken *taken; /* out of the ring and the queue, next to be handled */
    struct hakt_queue queue;  /* behind these */
    struct hakt_origin origin;
    uint64_t ops;            /* taken out of the ring, of all its threads */
    uint64_t dropped_before; /* slot->dropped when its last thread ended */
    uint64_t woken_at;       /* cursor when a thread that waits was last woken, or a round began */
    uint32_t tid;
    uint8_t active, held, force, dead;
    uint8_t paced;    /* step is that of the records up to the next stamp */
    uint64_t last;    /* time of the record before the cursor */
    uint64_t step;    /* between unstamped records */
    uint64_t usual;   /* step of the last burst */
    uint64_t held_at; /* raw time at the start of the round that held it */
    uint64_t awaited; /* address */
};

/* How the times of unstamped records are found. */
struct hakt_pacing {
    uint64_t burst;           /* raw time */
    const uint32_t *attached; /* rings that threads ever took */
};

/* A thread has taken the ring. */
void hakt_feed_begin(struct hakt_feed *f, struct hakt_shm *shm, uint32_t slot);

/* The next records to be handled, if there are none: out of the queue, then out of the ring. 1 if
 * there are some. */
int hakt_feed_refill(struct hakt_feed *f, struct hakt_store *store, struct hakt_pacing pacing);

/* Takes what the ring holds into the queue, some `most` words of it. How many records; *full = 1:
 * there is no room for them. */
uint64_t hakt_feed_drain(struct hakt_feed *f, struct hakt_store *store, uint64_t most, int *full);

/* The time of the next record to be handled: hakt_feed_refill had one. */
static inline uint64_t hakt_feed_time(const struct hakt_feed *f) {
    return f->taken->time[f->taken->at];
}

/* Nothing is left, in the ring or out of it, but what is not committed. */
int hakt_feed_is_empty(const struct hakt_feed *f);

/* Gives the room below the cursor back. A thread that sleeps for room is woken once there is enough
 * to be worth it, `enough` words, so that it and the collector work at the same time. */
void hakt_feed_give_back(struct hakt_feed *f, uint64_t enough);

static inline int hakt_feed_is_committed(const struct hakt_feed *f, uint64_t index) {
    return __atomic_load_n(&f->words[index & f->mask], __ATOMIC_ACQUIRE) >> HAKT_SHM_LAP_SHIFT ==
           hakt_shm_lap(index, f->log2);
}

/* Has the thread committed a record about there? Any word may be within one. */
static inline int hakt_feed_reaches(const struct hakt_feed *f, uint64_t index) {
    int any = 0;
    for (unsigned k = 0; k < HAKT_SHM_WORDS_MAX; k++)
        any |= hakt_feed_is_committed(f, index + k);
    return any;
}

/* Is there a record that a handler has committed behind one that the thread below it has not? */
int hakt_feed_has_hole(const struct hakt_feed *f);

/* Steps over words that will never be committed: reserved by a thread that died in the middle, or
 * that a handler left by longjmp. How many records; as good as always it is one, and more count as
 * one. */
uint64_t hakt_feed_skip_hole(struct hakt_feed *f);

/* The same of a thread that waits, with everything reserved that it can reserve, and the first
 * record not committed: it sits in a handler above that record, or has left it for good. */
uint64_t hakt_feed_skip_hole_if_stuck(struct hakt_feed *f);

#endif
