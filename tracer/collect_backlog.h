/*
 * The collector's backlog: records taken out of the rings before there is time to resolve and
 * compress them, as they stood there, some 10 bytes each. A program works in bursts; this is what a
 * burst may run ahead of the collector, without waiting.
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
    uint64_t limit, limit_max; /* bytes of segments in use: no more now, never more */
    uint64_t bytes;            /* of segments in use */
    struct hakt_segment *spare;
    void **slabs; /* of many segments each */
    size_t slab_count;
    uint64_t peak;  /* the most that `bytes` was */
    unsigned quiet; /* calls of hakt_store_trim since any was taken */
};

struct hakt_queue {
    struct hakt_segment *first, *last;
    uint32_t read; /* words of the first that were taken */
};

void hakt_store_init(struct hakt_store *s, uint64_t bytes_max);
void hakt_store_fini(struct hakt_store *s);

/* Now and then: gives the memory back to the system, if nothing is in use and nothing was taken
 * since many such calls. */
void hakt_store_trim(struct hakt_store *s);

/* Where the next words go: room for *n of them, at least HAKT_QUEUE_ROOM. NULL: there is none
 * within the limit, or no memory. */
uint64_t *hakt_queue_room(struct hakt_queue *q, struct hakt_store *s, uint32_t *n);
#define HAKT_QUEUE_ROOM 256u

/* n words were put there: whole records. */
void hakt_queue_put(struct hakt_queue *q, uint32_t n);

/* The oldest records, *n words; *n = 0: there are none. */
const uint64_t *hakt_queue_front(const struct hakt_queue *q, uint32_t *n);

/* n of these words are done with. */
void hakt_queue_drop(struct hakt_queue *q, struct hakt_store *s, uint32_t n);

static inline int hakt_queue_is_empty(const struct hakt_queue *q) {
    return q->first == NULL;
}

/* Forgets what is left. */
void hakt_queue_clear(struct hakt_queue *q, struct hakt_store *s);

#endif
