/*
 * What the two halves of the collector share: collect.c finds the rings, and says when a round puts
 * off and when it handles, and up to which stamp; collect_merge.c handles.
 *
 * Private to them.
 */
#ifndef TRACER_COLLECT_MERGE_H
#define TRACER_COLLECT_MERGE_H

#include "tracer/collect_feed.h"

#include <stdint.h>

/* By how much a stamp may be off: another CPU's counter, and a counter read by a CPU that runs
 * ahead of its loads and stores. */
#define HAKT_SKEW_NS 2000

/* A ring that is ready, by the stamp of its next record. */
struct hakt_heap_entry {
    uint64_t time;
    struct hakt_feed *feed;
};

struct hakt_collect {
    struct hakt_shm *shm;
    struct hakt_resolver res;
    struct hakt_store store;
    struct hakt_feed *feeds;   /* one for each slot */
    struct hakt_feed **active; /* those with a thread */
    uint32_t active_count;
    uint32_t relieve_next; /* of these */
    uint32_t attach_seen;
    struct hakt_heap_entry *heap;
    uint32_t heap_count;
    struct hakt_feed **held;
    uint32_t held_count;
    int unfinished;    /* the round goes on at the next call */
    uint32_t at_work;  /* rings that had records when the last round began */
    int busy;          /* see hakt_collect_set_busy */
    int outrun;        /* backlog full or old, slots short: nothing is put off until we are level */
    uint64_t level_at; /* raw time when nothing was in the backlog */
    int64_t budget;    /* records left of this call's; a block may go beyond */
    uint64_t unrelieved; /* records since all rings that fill up were relieved */
    uint64_t now;        /* raw time at the start of the round */
    uint64_t cut;        /* stamps up to this are this round's: HAKT_SKEW_NS before now */
    uint64_t hole_since; /* CLOCK_MONOTONIC ns, 0 = no hole in sight */
    uint64_t lost_holes;
    struct hakt_thread_drops *drops; /* threads that ended and had lost ops */
    size_t drops_count;
};

/* Takes notice of slots that threads have taken since the last round. Whoever takes one meanwhile
 * may be found too, and is counted by then: as many as are counted now are all. */
void hakt_collect_find_rings(struct hakt_collect *c);

/* Merges the rings by time: begins a round up to `cut`, or goes on with one, as far as `budget`
 * records go. final: the program is dead, so what is held is given its due at once. How many it
 * handled. */
uint64_t hakt_collect_merge(struct hakt_collect *c, uint64_t cut, int64_t budget, int final);

#endif
