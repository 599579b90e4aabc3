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

/* Counts totals record by record. Memory: the live set and one chunk. */
struct hakt_tally {
    struct hakt_totals totals;
    uint64_t live_bytes;
    uint64_t live_objects;
    struct hakc_map old;  /* id → size, of what was allocated before this chunk and lives */
    uint64_t *fresh_size; /* by id - first id of the chunk: most objects die young, and these
                             never enter the map */
    uint8_t *fresh_live;
    size_t fresh_cap;
};

int hakt_tally_init(struct hakt_tally *t); /* 0 or HAKC_ENOMEM */
void hakt_tally_fini(struct hakt_tally *t);

/* Adds a chunk of n <= HAKT_CHUNK_MAX records, first_id being the next id before it. If *bad is
 * not NULL it gets the number of the first record that consumes an object which does not live, or
 * n. HAKC_ENOMEM. */
int hakt_tally_chunk(struct hakt_tally *t, const struct hakt_rec *recs, size_t n, uint64_t first_id,
                     size_t *bad);

#endif
