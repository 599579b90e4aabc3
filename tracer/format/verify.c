#include <stdlib.h>
#include <string.h>
#include "tracer/format/reader.h"
#include "tracer/format/record.h"

/* What the walk over all blocks has seen. */
struct walk {
    size_t chunks;
    uint64_t index_offset, trailer_offset, tail_offset;
};

static int broken(struct hakc_err *err, const struct hakt_reader *r, uint64_t offset,
                  const char *why) {
    return hakc_fail_at(err, HAKC_ECORRUPT, r->path, offset, "%s", why);
}

static int verify_block(const struct hakt_reader *r, uint64_t offset, const struct hakt_block *b,
                        struct walk *w, struct hakc_err *err) {
    if (b->kind == HAKT_BLOCK_CHUNK) {
        if (w->chunks >= r->chunks || r->index[w->chunks].offset != offset)
            return broken(err, r, offset, "a chunk that the index does not know");
        w->chunks++;
        return 0; /* its content is checked when it is decoded */
    }
    if (b->kind == HAKT_BLOCK_INDEX && w->index_offset == 0)
        w->index_offset = offset;
    else if (b->kind == HAKT_BLOCK_TRAILER && w->trailer_offset == 0)
        w->trailer_offset = offset;
    else if (b->kind == HAKT_BLOCK_INDEX || b->kind == HAKT_BLOCK_TRAILER)
        return broken(err, r, offset, "a block that may stand only once");
    return hakt_file_frame_crc(&r->file, offset, b, err);
}

/* Every block from the first byte to the last, without a gap. */
static int verify_walk(const struct hakt_reader *r, struct walk *w, struct hakc_err *err) {
    uint64_t offset = 0;
    struct hakt_block b;
    memset(w, 0, sizeof(*w));
    for (uint32_t sequence = 0; offset < r->end; sequence++) {
        if (hakt_reader_is_tail(r, offset)) {
            w->tail_offset = offset;
            if (offset + HAKT_TAIL_SIZE != r->file.size)
                return broken(err, r, offset + HAKT_TAIL_SIZE, "bytes after the end of the trace");
            break;
        }
        int rc = hakt_file_block(&r->file, offset, &b, err);
        if (rc != 0)
            return rc;
        if (b.sequence != sequence)
            return broken(err, r, offset, "a block is missing before this one");
        rc = verify_block(r, offset, &b, w, err);
        if (rc != 0)
            return rc;
        offset += HAKT_BLOCK_HEAD + b.frame_bytes;
    }
    if (w->chunks != r->chunks)
        return broken(err, r, offset, "the index names a chunk that is not there");
    return 0;
}

static int verify_chunk(struct hakt_tally *tally, struct hakt_sizes *sizes,
                        const struct hakt_reader *r, const struct hakt_rec *recs, size_t n,
                        struct hakc_err *err) {
    const struct hakt_index_entry *e = &r->index[r->next - 1];
    size_t dead;
    for (size_t i = 0; i < n; i++) {
        const char *why = hakt_rec_check(&recs[i]);
        if (why != NULL)
            return hakc_fail_at(err, HAKC_ECORRUPT, r->path, e->offset, "record %llu: %s",
                                (unsigned long long)(e->first_record + i), why);
    }
    if (hakt_tally_chunk(tally, sizes, recs, n, e->first_id, &dead) != 0)
        return hakc_fail(err, HAKC_ENOMEM, "no memory for the live objects of %s", r->path);
    if (dead < n)
        return hakc_fail_at(err, HAKC_ECORRUPT, r->path, e->offset,
                            "record %llu names allocation %llu, which is not live",
                            (unsigned long long)(e->first_record + dead),
                            (unsigned long long)recs[dead].old_id);
    return 0;
}

static int verify_records(struct hakt_reader *r, struct hakt_tally *tally, struct hakt_sizes *sizes,
                          struct hakc_err *err) {
    const struct hakt_rec *recs;
    size_t n;
    int rc;
    while ((rc = hakt_reader_next(r, &recs, &n, err)) == 0 && n > 0) {
        rc = verify_chunk(tally, sizes, r, recs, n, err);
        if (rc != 0)
            return rc;
    }
    return rc;
}

/* Events are read to their end, and are not more than the records allow. */
static int verify_events(struct hakt_reader *r, struct hakt_totals *counted, struct hakc_err *err) {
    const struct hakt_event *e;
    int rc;
    while ((rc = hakt_reader_next_event(r, &e, err)) == 0 && e != NULL) {
        if (e->record > r->records)
            return broken(err, r, r->event_block, "an event behind the last record");
        if (e->thread >= counted->threads)
            counted->threads = (uint64_t)e->thread + 1;
        counted->events++;
    }
    return rc;
}

/* The trailer's figures, but for those that only the recorder knew. */
static int verify_totals(const struct hakt_reader *r, const struct walk *w,
                         const struct hakt_totals *counted, struct hakc_err *err) {
    struct hakt_totals said = r->totals;
    said.dropped = counted->dropped;
    said.stamped = counted->stamped;
    said.end_reason = counted->end_reason;
    said.exit_status = counted->exit_status;
    if (memcmp(&said, counted, sizeof(said)) != 0)
        return broken(err, r, w->trailer_offset,
                      "the trailer's totals are not those of the records");
    return 0;
}

static int verify_open(struct hakt_reader *r, struct hakt_totals *counted, struct hakc_err *err) {
    struct hakt_tally tally = {.totals = {.file_bytes = r->file.size, .exit_status = UINT32_MAX}};
    struct hakt_sizes sizes;
    struct walk w;
    int rc = hakt_sizes_init(&sizes);
    if (rc != 0)
        return hakc_fail(err, rc, "no memory for checking %s", r->path);
    rc = verify_walk(r, &w, err);
    if (rc == 0)
        rc = verify_records(r, &tally, &sizes, err);
    if (rc == 0 && r->stop_code == 0 && !r->rebuilt)
        rc = verify_events(r, &tally.totals, err);
    if (counted != NULL)
        *counted = tally.totals;
    if (rc == 0 && r->stop_code != 0) {
        rc = r->stop_code;
        if (err != NULL)
            *err = r->stop;
    }
    if (rc == 0 && w.tail_offset != 0 && (w.index_offset == 0 || w.trailer_offset == 0))
        rc = broken(err, r, w.tail_offset, "the file ends without its index or its trailer");
    if (rc == 0 && (r->rebuilt || w.tail_offset == 0 || w.index_offset == 0))
        rc = hakc_fail_at(err, HAKC_ETRUNCATED, r->path, r->end,
                          "the file ends without its %s; the %llu records before are whole",
                          r->rebuilt ? "trailer" : "tail", (unsigned long long)r->records);
    if (rc == 0)
        rc = verify_totals(r, &w, &tally.totals, err);
    hakt_sizes_fini(&sizes);
    return rc;
}

int hakt_verify(const char *path, struct hakt_totals *counted, struct hakc_err *err) {
    struct hakt_reader *r;
    if (counted != NULL)
        memset(counted, 0, sizeof(*counted));
    int rc = hakt_reader_open(&r, path, err);
    if (rc != 0)
        return rc;
    rc = verify_open(r, counted, err);
    hakt_reader_close(r);
    return rc;
}
