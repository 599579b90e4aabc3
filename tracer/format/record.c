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

int hakt_tally_init(struct hakt_tally *t) {
    memset(t, 0, sizeof(*t));
    t->totals.exit_status = UINT32_MAX;
    return hakc_map_init(&t->old, 0);
}

void hakt_tally_fini(struct hakt_tally *t) {
    free(t->fresh_size);
    free(t->fresh_live);
    hakc_map_fini(&t->old);
    t->fresh_size = NULL;
    t->fresh_live = NULL;
}

static int tally_reserve(struct hakt_tally *t, size_t n) {
    if (n <= t->fresh_cap)
        return 0;
    free(t->fresh_size);
    free(t->fresh_live);
    t->fresh_size = malloc(n * sizeof(*t->fresh_size));
    t->fresh_live = calloc(n, 1);
    t->fresh_cap = t->fresh_size != NULL && t->fresh_live != NULL ? n : 0;
    return t->fresh_cap == n ? 0 : HAKC_ENOMEM;
}

/* 1 if the object lived. */
static int tally_consume(struct hakt_tally *t, uint64_t id, uint64_t first_id) {
    uint64_t size;
    if (id >= first_id) {
        if (!t->fresh_live[id - first_id])
            return 0;
        t->fresh_live[id - first_id] = 0;
        size = t->fresh_size[id - first_id];
    } else if (!hakc_map_take(&t->old, id, &size)) {
        return 0;
    }
    t->totals.frees++;
    t->live_bytes -= size;
    t->live_objects--;
    return 1;
}

static void tally_allocate(struct hakt_tally *t, uint64_t id, uint64_t size, uint64_t first_id) {
    t->fresh_size[id - first_id] = size;
    t->fresh_live[id - first_id] = 1;
    t->totals.allocs++;
    t->live_bytes += size;
    t->live_objects++;
    if (t->live_bytes > t->totals.peak_live_bytes)
        t->totals.peak_live_bytes = t->live_bytes;
    if (t->live_objects > t->totals.peak_live_objects)
        t->totals.peak_live_objects = t->live_objects;
}

/* What survives the chunk goes into the map. */
static int tally_keep(struct hakt_tally *t, uint64_t first_id, uint64_t ids) {
    int rc = 0;
    for (uint64_t i = 0; i < ids; i++) {
        if (i + AHEAD < ids && t->fresh_live[i + AHEAD])
            hakc_map_prefetch(&t->old, first_id + i + AHEAD);
        if (t->fresh_live[i] && rc == 0)
            rc = hakc_map_put(&t->old, first_id + i, t->fresh_size[i]);
        t->fresh_live[i] = 0;
    }
    return rc;
}

int hakt_tally_chunk(struct hakt_tally *t, const struct hakt_rec *recs, size_t n, uint64_t first_id,
                     size_t *bad) {
    struct hakt_totals *tot = &t->totals;
    uint64_t next_id = first_id;
    size_t first_bad = n;
    if (tally_reserve(t, n) != 0)
        return HAKC_ENOMEM;
    for (size_t i = 0; i < n; i++) {
        const struct hakt_rec *r = &recs[i];
        if (i + AHEAD < n && recs[i + AHEAD].old_id != 0 && recs[i + AHEAD].old_id < first_id)
            hakc_map_prefetch(&t->old, recs[i + AHEAD].old_id);
        tot->ops_by_kind[r->op]++;
        tot->foreign += (r->flags & HAKT_REC_FOREIGN) != 0;
        if (r->thread >= tot->threads)
            tot->threads = (uint64_t)r->thread + 1;
        if (r->old_id != 0 && !(r->flags & HAKT_REC_FAILED) &&
            !tally_consume(t, r->old_id, first_id) && first_bad == n)
            first_bad = i;
        if (r->id != 0) {
            tally_allocate(t, r->id, r->size, first_id);
            next_id++;
        }
    }
    if (bad != NULL)
        *bad = first_bad;
    if (n > 0)
        tot->end_time = recs[n - 1].time;
    tot->records += n;
    tot->chunks++;
    tot->ops =
        tot->records - tot->ops_by_kind[HAKT_THREAD_START] - tot->ops_by_kind[HAKT_THREAD_END];
    tot->live_at_end = t->live_objects;
    return tally_keep(t, first_id, next_id - first_id);
}
