/*
 * The inside of the encoder, for the writer's two quick paths: nearly all records are a plain
 * malloc or a plain free of the thread that made the record before. Private to tracer/format.
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
    struct hakt_enc_birth *births; /* by id - first id of the chunk */
    struct hakt_enc_run *runs;     /* the schedule so far, without the last run */
    uint32_t nruns, run;           /* run: records of the last one */
    uint32_t current;              /* its thread */
    uint32_t n;                    /* records in the chunk */
    uint64_t first_id, next_id, first_time, time;
    struct hakt_enc_part *parts; /* by thread number */
    uint32_t parts_cap;
    struct hakt_enc_part *part; /* of the current thread */
    uint32_t room;     /* records of the current thread that can be added without further ado */
    uint32_t held;     /* records that all parts have room for */
    uint32_t *present; /* the threads of this chunk */
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
    e->room--;
}

/* The record makes the next id. */
static inline void hakt_encoder_birth(struct hakt_encoder *e) {
    e->births[e->next_id++ - e->first_id] = (struct hakt_enc_birth){e->current, e->part->allocs++};
}

/* hakt_encoder_add for a malloc of the current thread that made an id, where room > 0. */
static inline void hakt_encoder_malloc(struct hakt_encoder *e, uint64_t time, uint64_t size) {
    hakt_encoder_begin(e, HAKT_MALLOC, time);
    e->part->size_end = hakt_put_varint(e->part->size_end, size + 1);
    hakt_encoder_birth(e);
}

/* hakt_encoder_add for a free without flags of the current thread, where room > 0. */
static inline void hakt_encoder_free_op(struct hakt_encoder *e, uint64_t time, uint64_t old_id) {
    struct hakt_enc_part *t = e->part;
    uint64_t n = old_id - e->first_id;
    hakt_encoder_begin(e, HAKT_FREE, time);
    if (old_id >= e->first_id && e->births[n].thread == e->current) {
        t->own_end = hakt_put_varint(t->own_end, t->allocs - e->births[n].nth);
    } else {
        *t->own_end++ = 0;
        e->far_end = hakt_put_varint(e->far_end, old_id == 0 ? 0 : e->next_id - old_id);
    }
}

#endif
