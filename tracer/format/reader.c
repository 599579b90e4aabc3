#include <stdlib.h>
#include <string.h>
#include "tracer/format/reader.h"

const struct hakt_info *hakt_reader_info(const struct hakt_reader *r) {
    return &r->info;
}

const struct hakt_totals *hakt_reader_totals(const struct hakt_reader *r, int *rebuilt) {
    if (rebuilt != NULL)
        *rebuilt = r->rebuilt;
    return &r->totals;
}

const struct hakt_thread_drops *hakt_reader_drops(const struct hakt_reader *r, size_t *n) {
    *n = r->drops.n;
    return r->drops.p;
}

/* The chunk header must say what the index says about the chunk and about the one after it. */
static int chunk_matches(const struct hakt_reader *r, size_t k, const struct hakt_block *b) {
    const struct hakt_index_entry *e = &r->index[k];
    uint64_t records = k + 1 < r->chunks ? e[1].first_record : r->records;
    uint64_t next_id = k + 1 < r->chunks ? e[1].first_id : r->next_id;
    return b->kind == HAKT_BLOCK_CHUNK && b->first_record == e->first_record &&
           b->first_id == e->first_id && b->first_time == e->first_time &&
           b->last_time == e->last_time && b->first_record + b->records == records &&
           b->first_id + b->ids == next_id && b->threads <= r->totals.threads;
}

/* Reads the chunk that is next: its header and what it holds, undecoded. *b says nothing (kind 0)
 * at the end. */
static int reader_load(struct hakt_reader *r, struct hakt_block *b, struct hakc_err *err) {
    memset(b, 0, sizeof(*b));
    if (r->next >= r->chunks) {
        if (r->stop_code == 0 || r->stop_code == HAKC_ETRUNCATED)
            return 0;
        if (err != NULL)
            *err = r->stop;
        return r->stop_code;
    }
    uint64_t offset = r->index[r->next].offset;
    int rc = hakt_file_block(&r->file, offset, b, err);
    if (rc != 0)
        return rc;
    if (!chunk_matches(r, r->next, b))
        return hakc_fail_at(err, HAKC_ECORRUPT, r->path, offset,
                            "the chunk that starts here contradicts the index");
    if (b->last_time != 0 && !(r->info.fidelity & HAKT_HAS_TIMES))
        return hakc_fail_at(err, HAKC_ECORRUPT, r->path, offset,
                            "a trace without times has a time");
    return hakt_file_content(&r->file, offset, b, r->dctx, &r->packed, &r->content, err);
}

int hakt_reader_next(struct hakt_reader *r, const struct hakt_rec **recs, size_t *n,
                     struct hakc_err *err) {
    struct hakt_block b;
    const char *why;
    *n = 0;
    *recs = NULL;
    r->parts_left = 0;
    int rc = reader_load(r, &b, err);
    if (rc != 0 || b.kind == 0)
        return rc;
    if (b.records > r->recs_cap) {
        free(r->recs);
        r->recs_cap = 0;
        r->recs = malloc(b.records * sizeof(*r->recs));
        if (r->recs == NULL)
            return hakc_fail(err, HAKC_ENOMEM, "no memory for a chunk of %s", r->path);
        r->recs_cap = b.records;
    }
    rc = hakt_decode_chunk(r->decoder, &b, r->content.p, r->recs, &why);
    if (rc != 0)
        return hakc_fail_at(err, rc, r->path, r->index[r->next].offset, "%s", why);
    r->next++;
    *recs = r->recs;
    *n = b.records;
    return 0;
}

int hakt_reader_next_part(struct hakt_reader *r, struct hakt_rec *recs, size_t most, size_t *n,
                          struct hakc_err *err) {
    const char *why;
    int rc;
    *n = 0;
    if (r->parts_left == 0) {
        struct hakt_block b;
        rc = reader_load(r, &b, err);
        if (rc != 0 || b.kind == 0)
            return rc;
        rc = hakt_decode_begin(r->decoder, &b, r->content.p, &why);
        if (rc != 0)
            return hakc_fail_at(err, rc, r->path, r->index[r->next].offset, "%s", why);
        r->parts_left = b.records;
        r->next++;
    }
    rc = hakt_decode_some(r->decoder, recs, most, n, &why);
    if (rc != 0) {
        *n = 0;
        r->parts_left = 0;
        return hakc_fail_at(err, rc, r->path, r->index[r->next - 1].offset, "%s", why);
    }
    r->parts_left -= *n;
    return 0;
}

static int reader_goto(struct hakt_reader *r, size_t chunk, uint64_t *first) {
    r->next = chunk;
    r->parts_left = 0;
    if (first != NULL)
        *first = chunk < r->chunks ? r->index[chunk].first_record : r->records;
    return 0;
}

int hakt_reader_rewind(struct hakt_reader *r, struct hakc_err *err) {
    (void)err;
    r->events_at = r->first_chunk;
    r->event_next = r->event_end = NULL;
    memset(&r->event, 0, sizeof(r->event));
    return reader_goto(r, 0, NULL);
}

int hakt_reader_seek_record(struct hakt_reader *r, uint64_t record, uint64_t *first,
                            struct hakc_err *err) {
    (void)err;
    if (record >= r->records)
        return reader_goto(r, r->chunks, first);
    size_t lo = 0, hi = r->chunks; /* the last chunk that starts at or before the record */
    while (hi - lo > 1) {
        size_t mid = lo + (hi - lo) / 2;
        if (r->index[mid].first_record <= record)
            lo = mid;
        else
            hi = mid;
    }
    return reader_goto(r, lo, first);
}

int hakt_reader_seek_time(struct hakt_reader *r, uint64_t time_ns, uint64_t *first,
                          struct hakc_err *err) {
    (void)err;
    size_t lo = 0, hi = r->chunks; /* the first chunk that ends at or after the time */
    while (lo < hi) {
        size_t mid = lo + (hi - lo) / 2;
        if (r->index[mid].last_time < time_ns)
            lo = mid + 1;
        else
            hi = mid;
    }
    return reader_goto(r, lo, first);
}
