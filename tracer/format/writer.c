#include <string.h>
#include "tracer/format/varint.h"
#include "tracer/format/writer.h"

#define EVENTS_FULL (1u << 16) /* bytes of events that make a block */

static int index_add(struct hakt_writer *w, uint64_t offset, const struct hakt_block *b) {
    if (hakt_bytes_reserve(&w->index, w->index_bytes + HAKT_INDEX_ENTRY) != 0)
        return HAKC_ENOMEM;
    uint8_t *p = w->index.p + w->index_bytes;
    hakt_put_u64(p, offset);
    hakt_put_u64(p + 8, b->first_record);
    hakt_put_u64(p + 16, b->first_id);
    hakt_put_u64(p + 24, b->first_time);
    hakt_put_u64(p + 32, b->last_time);
    w->index_bytes += HAKT_INDEX_ENTRY;
    return 0;
}

static int flush_events(struct hakt_writer *w, struct hakc_err *err) {
    if (w->events.n == 0)
        return 0;
    int rc = hakt_writer_join(w, err);
    if (rc != 0)
        return rc;
    struct hakt_block b = hakt_writer_state_block(w, HAKT_BLOCK_EVENTS);
    rc = hakt_writer_block(w, &b, w->events.bytes.p, w->events.n, err);
    w->events.n = 0;
    if (rc == 0) {
        w->written.events = w->events.count;
        if (w->written.threads < w->event_threads)
            w->written.threads = w->event_threads;
    }
    return rc;
}

int hakt_write_event(struct hakt_writer *w, const struct hakt_event *e, struct hakc_err *err) {
    struct hakt_event event = *e;
    event.record = w->first_record + w->n;
    if (w->failed != 0)
        return hakt_writer_given_up(w, err);
    if (e->thread >= HAKT_THREAD_LIMIT || e->time < w->time_min || e->time > w->time_max)
        return hakc_fail(
            err, HAKC_EINTERNAL,
            "an event of the trace %s cannot be: its thread number is too high, or its "
            "time runs backwards",
            w->path);
    if (hakt_event_put(&w->events, &event) != 0) {
        w->failed = hakc_fail(err, HAKC_ENOMEM, "no memory for the events of the trace");
        return w->failed;
    }
    w->time_min = e->time;
    if (e->thread >= w->event_threads)
        w->event_threads = (uint64_t)e->thread + 1;
    return w->events.n < EVENTS_FULL ? 0 : flush_events(w, err);
}

/* The events stand before the chunk, so that a reader of a file that is cut behind it has them. */
int hakt_writer_flush(struct hakt_writer *w, struct hakc_err *err) {
    if (w->failed != 0)
        return hakt_writer_given_up(w, err);
    int rc = hakt_writer_join(w, err);
    if (rc == 0)
        rc = flush_events(w, err);
    if (rc != 0 || w->n == 0)
        return rc;
    struct hakt_block b = {.kind = HAKT_BLOCK_CHUNK,
                           .first_record = w->first_record,
                           .records = w->n,
                           .first_id = w->first_id,
                           .ids = w->next_id - w->first_id,
                           .first_time = w->first_time,
                           .last_time = w->time};
    uint64_t offset = hakt_writer_bytes(w);
    size_t bytes = hakt_encoder_finish(w->encoder, &w->content);
    hakt_tally_chunk_end(&w->tally, w->n, w->time);
    if (bytes == 0 || hakt_sizes_next_chunk(&w->sizes, w->next_id) != 0 ||
        index_add(w, offset, &b) != 0) {
        w->failed = hakc_fail(err, HAKC_ENOMEM, "no memory for a chunk of the trace");
        return w->failed;
    }
    struct hakt_totals totals = w->tally.totals;
    totals.events = w->written.events; /* that are in the file */
    if (totals.threads < w->event_threads)
        totals.threads = w->event_threads;
    w->tally.totals.threads = totals.threads;
    w->first_record += w->n;
    w->first_id = w->next_id;
    w->n = 0;
    return hakt_writer_chunk(w, &b, bytes, &totals, err);
}

static int reject(struct hakc_err *err, const struct hakt_writer *w, const char *why) {
    return hakc_fail(err, HAKC_EINTERNAL, "record %llu of the trace %s cannot be: %s",
                     (unsigned long long)(w->first_record + w->n), w->path, why);
}

/* NULL, or why the record cannot be the next. */
static const char *misfit(const struct hakt_writer *w, const struct hakt_rec *rec) {
    const char *why = hakt_rec_check(rec);
    if (why != NULL)
        return why;
    if (rec->id != 0 && rec->id != w->next_id)
        return "its id is not the next one";
    if (rec->old_id >= w->next_id)
        return "its old id was not allocated yet";
    if (rec->time < w->time_min || rec->time > w->time_max)
        return "its time runs backwards, or the trace has no times";
    if (rec->thread >= HAKT_THREAD_LIMIT)
        return "its thread number is too high";
    return NULL;
}

/* Any record that fits. */
static int writer_add(struct hakt_writer *w, const struct hakt_rec *rec, unsigned consumed,
                      uint64_t old_size, struct hakc_err *err) {
    if (w->failed != 0)
        return hakt_writer_given_up(w, err);
    const char *why = misfit(w, rec);
    if (why != NULL)
        return reject(err, w, why);
    if (hakt_encoder_add(w->encoder, rec) != 0) {
        w->failed = hakc_fail(err, HAKC_ENOMEM, "no memory for a chunk of the trace");
        return w->failed;
    }
    hakt_tally_add(&w->tally, rec, consumed, old_size);
    if (w->n++ == 0)
        w->first_time = rec->time;
    w->time = w->time_min = rec->time;
    w->next_id += rec->id != 0;
    return w->n < HAKT_CHUNK_MAX ? 0 : hakt_writer_flush(w, err);
}

/* What n plain records add to the totals. 0 = one of them does not fit, and nothing was changed. */
static int tally_plain(struct hakt_writer *w, const struct hakt_plain_rec *recs, size_t n) {
    struct hakt_tally *t = &w->tally;
    uint64_t bytes = t->live_bytes, objects = t->live_objects, next_id = w->next_id;
    uint64_t peak_bytes = t->totals.peak_live_bytes, peak_objects = t->totals.peak_live_objects;
    uint64_t time = w->time_min, freed = 0, consumed = 0;
    uint32_t threads = 0;
    int misfits = 0;
    for (size_t i = 0; i < n; i++) {
        const struct hakt_plain_rec *r = &recs[i];
        uint64_t is_free = r->is_free, given = r->id != 0, frees = 0 - is_free;
        misfits |= (r->time < time) | (r->id > next_id) | ((r->id == next_id) ^ !is_free) |
                   (r->size == UINT64_MAX) | (is_free > 1) | (r->thread >= HAKT_THREAD_LIMIT);
        time = r->time;
        freed += is_free;
        consumed += is_free & given;
        next_id += 1 - is_free;
        bytes += (r->size & ~frees) - (r->size & frees & (0 - given));
        objects += (1 - is_free) - (is_free & given);
        peak_bytes = bytes > peak_bytes ? bytes : peak_bytes;
        peak_objects = objects > peak_objects ? objects : peak_objects;
        threads = r->thread >= threads ? r->thread + 1 : threads;
    }
    if (misfits || time > w->time_max)
        return 0;
    t->live_bytes = bytes;
    t->live_objects = objects;
    t->totals.peak_live_bytes = peak_bytes;
    t->totals.peak_live_objects = peak_objects;
    t->totals.ops_by_kind[HAKT_FREE] += freed;
    t->totals.ops_by_kind[HAKT_MALLOC] += n - freed;
    t->totals.allocs += n - freed;
    t->totals.frees += consumed;
    if (threads > t->totals.threads)
        t->totals.threads = threads;
    w->next_id = next_id;
    w->time = w->time_min = time;
    return 1;
}

/* n > 0 records, of which the chunk can take all. */
static int add_plain(struct hakt_writer *w, const struct hakt_plain_rec *recs, size_t n,
                     struct hakc_err *err) {
    if (!tally_plain(w, recs, n)) {
        hakc_fail(err, HAKC_EINTERNAL,
                  "records behind number %llu of the trace %s cannot be: their ids, times or "
                  "threads do not fit",
                  (unsigned long long)(w->first_record + w->n), w->path);
        return HAKC_EINTERNAL;
    }
    if (w->n == 0)
        w->first_time = recs[0].time;
    w->n += n;
    if (hakt_encoder_add_plain(w->encoder, recs, n) != 0) {
        w->failed = hakc_fail(err, HAKC_ENOMEM, "no memory for a chunk of the trace");
        return w->failed;
    }
    return w->n < HAKT_CHUNK_MAX ? 0 : hakt_writer_flush(w, err);
}

int hakt_write_plain(struct hakt_writer *w, const struct hakt_plain_rec *recs, size_t n,
                     struct hakc_err *err) {
    int rc = w->failed != 0 ? hakt_writer_given_up(w, err) : 0;
    while (n > 0 && rc == 0) {
        size_t room = HAKT_CHUNK_MAX - w->n, part = n < room ? n : room;
        rc = add_plain(w, recs, part, err);
        recs += part;
        n -= part;
    }
    if (rc != 0)
        w->lost += n;
    return rc;
}

/* A plain record, by the quick way, if it fits. 0 = it is none. */
static int write_as_plain(struct hakt_writer *w, const struct hakt_rec *rec, uint64_t old_size) {
    unsigned is_free = rec->op == HAKT_FREE;
    struct hakt_plain_rec plain = {.time = rec->time,
                                   .id = is_free ? rec->old_id : rec->id,
                                   .size = is_free ? old_size : rec->size,
                                   .thread = rec->thread,
                                   .is_free = is_free};
    if ((rec->op != HAKT_MALLOC && !is_free) || (rec->flags | rec->align_log2) != 0 ||
        (is_free ? rec->id | rec->size : rec->old_id) != 0 || w->failed != 0 ||
        w->n >= HAKT_CHUNK_MAX - 1)
        return 0;
    return add_plain(w, &plain, 1, NULL) == 0;
}

int hakt_write_sized(struct hakt_writer *w, const struct hakt_rec *rec, uint64_t old_size,
                     struct hakc_err *err) {
    unsigned consumed = hakt_rec_consumes(rec);
    if (write_as_plain(w, rec, consumed ? old_size : 0))
        return 0;
    return writer_add(w, rec, consumed, old_size, err);
}

int hakt_write(struct hakt_writer *w, const struct hakt_rec *rec, struct hakc_err *err) {
    const char *why = w->failed == 0 ? misfit(w, rec) : NULL;
    if (why != NULL)
        return reject(err, w, why);
    uint64_t size = 0;
    unsigned consumed = hakt_rec_consumes(rec) && hakt_sizes_take(&w->sizes, rec->old_id, &size);
    if (rec->id != 0 && w->failed == 0)
        hakt_sizes_put(&w->sizes, rec->id, rec->size);
    if (write_as_plain(w, rec, size))
        return 0;
    return writer_add(w, rec, consumed, size, err);
}

void hakt_writer_set_drops(struct hakt_writer *w, const struct hakt_thread_drops *drops, size_t n) {
    w->drops = drops;
    w->drops_count = n;
}

uint64_t hakt_writer_next_id(const struct hakt_writer *w) {
    return w->next_id;
}

uint64_t hakt_writer_bytes(const struct hakt_writer *w) {
    return __atomic_load_n(&w->bytes, __ATOMIC_RELAXED);
}

uint64_t hakt_writer_pending(const struct hakt_writer *w) {
    uint64_t under_way = w->job.pending ? w->job.bytes : 0;
    return under_way + w->events.n + hakt_encoder_bytes(w->encoder);
}
