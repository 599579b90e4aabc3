#include "tracer/format/record.h"

#include <stdlib.h>
#include <string.h>

#define AHEAD 24 /* records between asking memory for a live object's slot and using it */

static const char *const op_names[HAKT_OP_COUNT] = {
    "malloc",        "calloc",         "realloc", "reallocarray", "free",         "memalign",
    "aligned_alloc", "posix_memalign", "valloc",  "pvalloc",      "thread_start", "thread_end",
};

const char *hakt_op_name(unsigned op) {
    return op < HAKT_OP_COUNT ? op_names[op] : NULL;
}

int hakt_op_from_name(const char *name) {
    for (int i = 0; i < HAKT_OP_COUNT; i++) {
        if (strcmp(name, op_names[i]) == 0)
            return i;
    }
    return -1;
}

int hakt_op_allocates(unsigned op) {
    return hakt_op_has_size(op);
}

static const char *check_allocation(const struct hakt_rec *r) {
    unsigned may = HAKT_REC_FAILED;
    if (hakt_op_has_old(r->op))
        may |= HAKT_REC_FOREIGN | HAKT_REC_UNFINISHED;
    else if (r->old_id != 0)
        return "only realloc and free have an old id";
    if (r->flags & ~may)
        return "a flag that the operation cannot have";
    if (r->flags & (HAKT_REC_FAILED | HAKT_REC_UNFINISHED))
        return r->id != 0 ? "an allocation that failed or did not finish has an id" : NULL;
    if (r->id == 0)
        return r->size != 0 ? "an allocation without id, not marked as failed" : NULL;
    return r->size == UINT64_MAX ? "an allocation of an impossible size" : NULL;
}

const char *hakt_rec_check(const struct hakt_rec *r) {
    if (r->op >= HAKT_OP_COUNT)
        return "an unknown operation";
    if (r->old_id != 0 && (r->flags & HAKT_REC_FOREIGN))
        return "a foreign pointer with an id";
    if (r->align_log2 != 0 && (!hakt_op_has_align(r->op) || r->align_log2 > 63))
        return "an alignment that the operation cannot have";
    if (hakt_op_has_size(r->op))
        return check_allocation(r);
    if (r->id != 0 || r->size != 0)
        return "an operation that allocates nothing has an id or a size";
    if (r->op == HAKT_FREE)
        return r->flags & ~(HAKT_REC_FOREIGN | HAKT_REC_IMPLIED)
                   ? "a flag that the operation cannot have"
                   : NULL;
    return r->flags != 0 || r->old_id != 0 ? "a marker with a flag or an old id" : NULL;
}

int hakt_sizes_init(struct hakt_sizes *s) {
    memset(s, 0, sizeof(*s));
    s->first_id = 1;
    s->fresh_size = malloc(HAKT_CHUNK_MAX * sizeof(*s->fresh_size));
    s->fresh_live = calloc(HAKT_CHUNK_MAX, 1);
    if (s->fresh_size != NULL && s->fresh_live != NULL && hakc_map_init(&s->old, 0) == 0)
        return 0;
    hakt_sizes_fini(s);
    return HAKC_ENOMEM;
}

void hakt_sizes_fini(struct hakt_sizes *s) {
    free(s->fresh_size);
    free(s->fresh_live);
    hakc_map_fini(&s->old);
    s->fresh_size = NULL;
    s->fresh_live = NULL;
}

int hakt_sizes_next_chunk(struct hakt_sizes *s, uint64_t first_id) {
    int rc = 0;
    for (uint64_t i = 0; i < s->ids; i++) {
        if (i + AHEAD < s->ids && s->fresh_live[i + AHEAD])
            hakc_map_prefetch(&s->old, s->first_id + i + AHEAD);
        if (s->fresh_live[i] && rc == 0)
            rc = hakc_map_put(&s->old, s->first_id + i, s->fresh_size[i]);
        s->fresh_live[i] = 0;
    }
    s->ids = 0;
    s->first_id = first_id;
    return rc;
}

void hakt_tally_chunk_end(struct hakt_tally *t, size_t n, uint64_t time) {
    struct hakt_totals *tot = &t->totals;
    tot->end_time = time;
    tot->records += n;
    tot->chunks++;
    tot->ops =
        tot->records - tot->ops_by_kind[HAKT_THREAD_START] - tot->ops_by_kind[HAKT_THREAD_END];
    tot->live_at_end = t->live_objects;
}

int hakt_tally_chunk(struct hakt_tally *t, struct hakt_sizes *s, const struct hakt_rec *recs,
                     size_t n, uint64_t first_id, size_t *bad) {
    int rc = hakt_sizes_next_chunk(s, first_id);
    *bad = n;
    for (size_t i = 0; i < n && rc == 0; i++) {
        const struct hakt_rec *r = &recs[i];
        uint64_t size = 0;
        if (i + AHEAD < n && recs[i + AHEAD].old_id != 0 && recs[i + AHEAD].old_id < first_id)
            hakc_map_prefetch(&s->old, recs[i + AHEAD].old_id);
        int consumed = hakt_rec_consumes(r) && hakt_sizes_take(s, r->old_id, &size);
        if (r->old_id != 0 && !consumed && *bad == n &&
            !((r->flags & HAKT_REC_FAILED) && hakt_sizes_has(s, r->old_id)))
            *bad = i;
        hakt_tally_add(t, r, consumed, size);
        if (r->id != 0)
            hakt_sizes_put(s, r->id, r->size);
    }
    hakt_tally_chunk_end(t, n, recs[n - 1].time);
    return rc;
}
