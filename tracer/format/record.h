/*
 * What holds for one record, and counting over many: shared by the writer and by the check.
 * Private to tracer/format.
 */
#ifndef TRACER_FORMAT_RECORD_H
#define TRACER_FORMAT_RECORD_H

#include <stddef.h>
#include <stdint.h>
#include "common/map.h"
#include "tracer/format/trace.h"

static inline int hakt_op_is_marker(unsigned op) {
    return op == HAKT_THREAD_START || op == HAKT_THREAD_END;
}

/* realloc, reallocarray, free: the ops with an argument that may consume an object */
static inline int hakt_op_has_old(unsigned op) {
    return op == HAKT_REALLOC || op == HAKT_REALLOCARRAY || op == HAKT_FREE;
}

static inline int hakt_op_has_size(unsigned op) {
    return op < HAKT_THREAD_START && op != HAKT_FREE;
}

static inline int hakt_op_has_align(unsigned op) {
    return op >= HAKT_MEMALIGN && op <= HAKT_PVALLOC;
}

/* NULL if the fields of the record agree with each other, else the reason. */
const char *hakt_rec_check(const struct hakt_rec *r);

/* Sizes of live objects by id. Memory: the live set and one chunk. */
struct hakt_sizes {
    struct hakc_map old;  /* of what was allocated before this chunk and lives */
    uint64_t *fresh_size; /* by id - first id of the chunk: most objects die young, and these
                             never enter the map */
    uint8_t *fresh_live;
    uint64_t first_id, ids;
};

int hakt_sizes_init(struct hakt_sizes *s); /* 0 or HAKC_ENOMEM */
void hakt_sizes_fini(struct hakt_sizes *s);

/* A chunk ends, and the next begins with first_id: what lives goes into the map. HAKC_ENOMEM. */
int hakt_sizes_next_chunk(struct hakt_sizes *s, uint64_t first_id);

/* The id at the end of the chunk; a chunk makes at most HAKT_CHUNK_MAX. */
static inline void hakt_sizes_put(struct hakt_sizes *s, uint64_t id, uint64_t size) {
    s->fresh_size[id - s->first_id] = size;
    s->fresh_live[id - s->first_id] = 1;
    s->ids = id - s->first_id + 1;
}

/* Removes an object. 1, with its size, if it lived. */
static inline int hakt_sizes_take(struct hakt_sizes *s, uint64_t id, uint64_t *size) {
    if (id < s->first_id)
        return hakc_map_take(&s->old, id, size);
    uint64_t k = id - s->first_id;
    if (k >= s->ids || !s->fresh_live[k])
        return 0;
    s->fresh_live[k] = 0;
    *size = s->fresh_size[k];
    return 1;
}

static inline int hakt_sizes_has(const struct hakt_sizes *s, uint64_t id) {
    if (id < s->first_id)
        return hakc_map_find(&s->old, id) != NULL;
    return id - s->first_id < s->ids && s->fresh_live[id - s->first_id];
}

/* Counts totals record by record. All zero at the start, but for totals.exit_status. */
struct hakt_tally {
    struct hakt_totals totals; /* records, ops, chunks and end_time as of hakt_tally_chunk_end */
    uint64_t live_bytes;
    uint64_t live_objects;
};

/* consumed = 1: the record consumes a live object of old_size bytes. */
static inline void hakt_tally_add(struct hakt_tally *t, const struct hakt_rec *r, unsigned consumed,
                                  uint64_t old_size) {
    struct hakt_totals *tot = &t->totals;
    tot->ops_by_kind[r->op]++;
    tot->foreign += (r->flags & HAKT_REC_FOREIGN) != 0;
    if (r->thread >= tot->threads)
        tot->threads = (uint64_t)r->thread + 1;
    if (consumed) {
        tot->frees++;
        t->live_bytes -= old_size;
        t->live_objects--;
    }
    if (r->id != 0) {
        tot->allocs++;
        t->live_bytes += r->size;
        t->live_objects++;
        if (t->live_bytes > tot->peak_live_bytes)
            tot->peak_live_bytes = t->live_bytes;
        if (t->live_objects > tot->peak_live_objects)
            tot->peak_live_objects = t->live_objects;
    }
}

static inline unsigned hakt_rec_consumes(const struct hakt_rec *r) {
    return (r->old_id != 0) & !(r->flags & HAKT_REC_FAILED);
}

/* The n > 0 records since the last call are a chunk, the last of them at `time`. */
void hakt_tally_chunk_end(struct hakt_tally *t, size_t n, uint64_t time);

/* Adds a chunk of n records, 1 to HAKT_CHUNK_MAX, first_id being the next id before it. *bad gets
 * the number of the first record whose old object does not live, or n. HAKC_ENOMEM. */
int hakt_tally_chunk(struct hakt_tally *t, struct hakt_sizes *s, const struct hakt_rec *recs,
                     size_t n, uint64_t first_id, size_t *bad);

#endif
