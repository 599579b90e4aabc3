/*
 * The collector's backlog: records taken out of full rings before there is time to resolve and
 * compress them, packed to some 7 bytes each. A program works in bursts; this is what a burst may
 * run ahead of the collector, without waiting.
 *
 *   store    the memory, in segments; bounded, taken as needed, given back when all is empty
 *   queue    the records of one ring, oldest first; each has a segment at the least, also where
 *            the bound is reached, so that no ring waits for another one's records
 *
 * Threads: not synchronised.
 */
#ifndef TRACER_COLLECT_BACKLOG_H
#define TRACER_COLLECT_BACKLOG_H

#include <stddef.h>
#include <stdint.h>

#define HAKT_BACKLOG_DEFAULT (64u << 20)
#define HAKT_TAKEN_MAX       64 /* records that are taken out of a ring or a queue at a time */

/* Records out of a ring, as columns. */
struct hakt_taken {
    uint64_t ptr[HAKT_TAKEN_MAX], size[HAKT_TAKEN_MAX];
    uint64_t time[HAKT_TAKEN_MAX]; /* raw; of each, also of those that were not stamped */
    uint8_t op[HAKT_TAKEN_MAX];    /* enum hakt_shm_op or hakt_shm_memory_op; and HAKT_STAMPED */
    uint8_t align[HAKT_TAKEN_MAX]; /* log2 */
    uint32_t at, n;                /* records from at to below n are still to be handled */
};
#define HAKT_STAMPED 0x80u

struct hakt_segment;

struct hakt_store {
    uint64_t bytes_max, bytes; /* of segments in use: may be, are */
    struct hakt_segment *spare;
    void **slabs; /* of many segments each */
    size_t slab_count;
    uint64_t peak;  /* the most that `bytes` was */
    unsigned quiet; /* calls of hakt_store_trim since any was taken */
};

struct hakt_queue {
    struct hakt_segment *first, *last;
    uint64_t records;
    const uint8_t *read;          /* in first */
    uint64_t read_ptr, read_time; /* of the record before */
    uint64_t write_ptr, write_time;
};

void hakt_store_init(struct hakt_store *s, uint64_t bytes_max);
void hakt_store_fini(struct hakt_store *s);

/* Now and then: gives the memory back to the system, if nothing is in use and nothing was taken
 * since many such calls. */
void hakt_store_trim(struct hakt_store *s);

/* Makes room for HAKT_TAKEN_MAX records. 0, or 1: there is none within the bound, or no memory. */
int hakt_queue_reserve(struct hakt_queue *q, struct hakt_store *s);

/* Appends all of t, for which there is room; t is empty then. */
void hakt_queue_put(struct hakt_queue *q, struct hakt_taken *t);

/* Moves the oldest records, HAKT_TAKEN_MAX at the most, into t, which is empty. */
void hakt_queue_take(struct hakt_queue *q, struct hakt_store *s, struct hakt_taken *t);

/* Forgets what is left. */
void hakt_queue_clear(struct hakt_queue *q, struct hakt_store *s);

#endif
