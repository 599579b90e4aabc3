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

static inline void plain_malloc(struct hakt_writer *w, const struct hakt_rec *rec) {
    struct hakt_tally *t = &w->tally;
    hakt_encoder_malloc(w->encoder, rec->time, rec->size);
    w->next_id++;
    t->totals.ops_by_kind[HAKT_MALLOC]++;
    t->totals.allocs++;
    t->live_bytes += rec->size;
    if (t->live_bytes > t->totals.peak_live_bytes)
        t->totals.peak_live_bytes = t->live_bytes;
    if (++t->live_objects > t->totals.peak_live_objects)
        t->totals.peak_live_objects = t->live_objects;
}

static inline void plain_free(struct hakt_writer *w, const struct hakt_rec *rec, unsigned consumed,
                              uint64_t old_size) {
    struct hakt_tally *t = &w->tally;
    hakt_encoder_free_op(w->encoder, rec->time, rec->old_id);
    t->totals.ops_by_kind[HAKT_FREE]++;
    t->totals.frees += consumed;
    t->live_objects -= consumed;
    t->live_bytes -= old_size;
}

/* The quick way for a plain malloc or free that fits, by the thread of the record before, and does
 * not fill the chunk. 0 = it is none. */
static inline int writer_add_plain(struct hakt_writer *w, const struct hakt_rec *rec,
                                   unsigned consumed, uint64_t old_size) {
    if (w->encoder->room < 2 || rec->thread != w->encoder->current ||
        (rec->flags | rec->align_log2) != 0 || rec->time < w->time_min || rec->time > w->time_max)
        return 0;
    if (rec->op == HAKT_FREE && (rec->id | rec->size) == 0 && rec->old_id < w->next_id)
        plain_free(w, rec, consumed, consumed ? old_size : 0);
    else if (rec->op == HAKT_MALLOC && rec->old_id == 0 && rec->id == w->next_id &&
             rec->size != UINT64_MAX)
        plain_malloc(w, rec);
    else
        return 0;
    w->time = w->time_min = rec->time;
    w->n++;
    return 1;
}

int hakt_write_sized(struct hakt_writer *w, const struct hakt_rec *rec, uint64_t old_size,
                     struct hakc_err *err) {
    unsigned consumed = hakt_rec_consumes(rec);
    if (__builtin_expect(writer_add_plain(w, rec, consumed, old_size), 1))
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
    if (writer_add_plain(w, rec, consumed, size))
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
