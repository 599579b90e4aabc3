/*
 * The inside of the encoder: encode.c has the chunk, encode_plain.c the quick path for plain
 * mallocs and frees. Private to tracer/format.
 */
#ifndef TRACER_FORMAT_ENCODE_H
#define TRACER_FORMAT_ENCODE_H

#include <stddef.h>
#include <stdint.h>
#include "tracer/format/chunk.h"
#include "tracer/format/varint.h"

/* Where an allocation of this chunk was made. */
struct hakt_enc_birth {
    uint32_t thread;
    uint32_t nth; /* among the thread's allocations in the chunk */
};

/* A thread's part of the columns that are grouped by thread. */
struct hakt_enc_part {
    uint32_t records, allocs;
    uint32_t cap;             /* records that there is room for */
    uint32_t place;           /* in the directory */
    uint8_t *op, *size, *own; /* owned */
    uint8_t *size_end, *own_end;
};

struct hakt_enc_run {
    uint32_t thread, records;
};

struct hakt_encoder {
    /* By id - first id of the chunk. Not kept as long as the chunk has one thread: then the n-th
     * id is that thread's n-th. */
    struct hakt_enc_birth *births;
    struct hakt_enc_run *runs; /* the schedule so far, without the last run */
    uint32_t nruns, run;       /* run: records of the last one */
    uint32_t current;          /* its thread */
    uint32_t n;                /* records in the chunk */
    uint64_t first_id, next_id, first_time, time;
    struct hakt_enc_part *parts; /* by thread number */
    uint32_t parts_cap;
    struct hakt_enc_part *part; /* of the current thread */
    uint32_t held;              /* records that all parts have room for */
    uint32_t *present;          /* the threads of this chunk */
    uint32_t npresent;
    uint8_t *far, *far_end, *align, *align_end, *at, *at_end; /* columns in the trace's order */
};

/* What every record has. The current thread has room for it. */
static inline void hakt_encoder_begin(struct hakt_encoder *e, unsigned code, uint64_t time) {
    e->part->op[e->part->records++] = (uint8_t)code;
    e->at_end = hakt_put_varint(e->at_end, time - e->time);
    e->time = time;
    e->run++;
    e->n++;
}

/* The record makes the next id. */
static inline void hakt_encoder_birth(struct hakt_encoder *e) {
    if (e->npresent > 1)
        e->births[e->next_id - e->first_id] = (struct hakt_enc_birth){e->current, e->part->allocs};
    e->next_id++;
    e->part->allocs++;
}

/* What the own column says of an old id: how many of the thread's allocations in this chunk are not
 * older; 0: it is none of them. Without a branch on that. */
static inline uint64_t hakt_encoder_own(const struct hakt_encoder *e, const struct hakt_enc_part *t,
                                        uint64_t old_id) {
    uint64_t n = old_id - e->first_id;
    int here = old_id >= e->first_id;
    if (e->npresent == 1)
        return here ? t->allocs - n : 0;
    const struct hakt_enc_birth *b = &e->births[here ? n : 0];
    return here && b->thread == e->current ? t->allocs - b->nth : 0;
}

/* The next n records are this thread's, the first of them at `time`: makes room for them. */
int hakt_encoder_begin_run(struct hakt_encoder *e, uint32_t thread, uint32_t n, uint64_t time);

/* hakt_encoder_add for n plain records, of which the chunk can take all. HAKC_ENOMEM: no more can
 * come of this chunk. */
int hakt_encoder_add_plain(struct hakt_encoder *e, const struct hakt_plain_rec *recs, size_t n);

#endif
