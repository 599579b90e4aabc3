#include <stdlib.h>
#include "tracer/format/chunk.h"
#include "tracer/format/record.h"
#include "tracer/format/varint.h"

struct span {
    const uint8_t *p;
    const uint8_t *end;
};

/* How far the decoder has come in the columns of one thread. */
struct cursor {
    struct span op, size, own;
    uint32_t *ids; /* the thread's allocations in this chunk: id - first id */
    uint32_t nids;
    uint32_t thread;
};

struct hakt_decoder {
    uint32_t *ids; /* of the chunk's records, a part for each thread */
    size_t ids_cap;
    struct cursor *cursors;
    size_t cursors_cap;
    size_t ncursors;
    struct span col[HAKT_COL_COUNT];
    /* in-order columns and ids, while decoding */
    struct span schedule, far, align, at;
    uint64_t next_id, last_id, first_id;
    uint64_t time, last_time;
    uint64_t run_left; /* records of the run that is being decoded, */
    uint64_t place;    /* whose cursor this is */
    uint64_t records_left;
    int has_times;
};

struct hakt_decoder *hakt_decoder_new(void) {
    return calloc(1, sizeof(struct hakt_decoder));
}

void hakt_decoder_free(struct hakt_decoder *d) {
    if (d == NULL)
        return;
    free(d->cursors);
    free(d->ids);
    free(d);
}

static int bad(const char **why, const char *text) {
    *why = text;
    return HAKC_ECORRUPT;
}

static inline int take(struct span *s, uint64_t *v) {
    const uint8_t *p = hakt_get_varint(s->p, s->end, v);
    if (p == NULL)
        return -1;
    s->p = p;
    return 0;
}

static size_t left(const struct span *s) {
    return (size_t)(s->end - s->p);
}

/* Reads the column table and cuts the content into columns. */
static int decode_table(struct hakt_decoder *d, struct span in, const char **why) {
    uint8_t ids[256];
    uint64_t lengths[256], count;
    for (size_t k = 0; k < HAKT_COL_COUNT; k++) /* one that is not there is empty */
        d->col[k] = (struct span){in.p, in.p};
    if (take(&in, &count) != 0 || count > 255)
        return bad(why, "the column table is broken");
    for (uint64_t k = 0; k < count; k++) {
        if (left(&in) < 2)
            return bad(why, "the column table is broken");
        uint8_t id = in.p[0], encoding = in.p[1];
        in.p += 2;
        if (take(&in, &lengths[k]) != 0 || (k > 0 && id <= ids[k - 1]) || id == 0)
            return bad(why, "the column table is broken");
        ids[k] = id;
        if (id & HAKT_COL_SKIPPABLE)
            continue;
        uint8_t known =
            id == HAKT_COL_OP || id == HAKT_COL_ALIGN ? HAKT_ENC_BYTES : HAKT_ENC_VARINT;
        if (id >= HAKT_COL_COUNT || encoding != known) {
            *why = "the chunk has a column or an encoding that this version does not know";
            return HAKC_EUNSUPPORTED;
        }
    }
    for (uint64_t k = 0; k < count; k++) {
        if (lengths[k] > left(&in))
            return bad(why, "a column passes the end of its chunk");
        if (ids[k] < HAKT_COL_COUNT)
            d->col[ids[k]] = (struct span){in.p, in.p + lengths[k]};
        in.p += lengths[k];
    }
    return left(&in) == 0 ? 0 : bad(why, "bytes after the last column");
}

static int decode_cut(struct span *column, uint64_t bytes, struct span *part) {
    if (bytes > left(column))
        return -1;
    *part = (struct span){column->p, column->p + bytes};
    column->p += bytes;
    return 0;
}

/* Reads the thread directory: a cursor for each thread of the chunk. */
static int decode_directory(struct hakt_decoder *d, const struct hakt_block *b, const char **why) {
    struct span dir = d->col[HAKT_COL_THREADS];
    uint64_t thread = 0, records = 0;
    d->ncursors = 0;
    if (b->records > d->ids_cap) {
        free(d->ids);
        d->ids_cap = 0;
        d->ids = malloc(b->records * sizeof(*d->ids));
        if (d->ids == NULL) {
            *why = "no memory for the allocations of a chunk";
            return HAKC_ENOMEM;
        }
        d->ids_cap = b->records;
    }
    while (left(&dir) > 0) {
        uint64_t delta, n, size_bytes, own_bytes;
        if (take(&dir, &delta) != 0 || take(&dir, &n) != 0 || take(&dir, &size_bytes) != 0 ||
            take(&dir, &own_bytes) != 0)
            return bad(why, "the thread directory is broken");
        if (delta >= b->threads || (d->ncursors > 0 && delta == 0) || n == 0 ||
            n > b->records - records)
            return bad(why, "the thread directory contradicts the block header");
        thread += delta;
        if (thread >= b->threads)
            return bad(why, "the thread directory contradicts the block header");
        if (d->ncursors == d->cursors_cap) {
            size_t cap = d->cursors_cap * 2 + 16;
            struct cursor *more = realloc(d->cursors, cap * sizeof(*more));
            if (more == NULL) {
                *why = "no memory for the threads of a chunk";
                return HAKC_ENOMEM;
            }
            d->cursors = more;
            d->cursors_cap = cap;
        }
        struct cursor *c = &d->cursors[d->ncursors++];
        *c = (struct cursor){.ids = d->ids + records, .thread = (uint32_t)thread};
        if (decode_cut(&d->col[HAKT_COL_OP], n, &c->op) != 0 ||
            decode_cut(&d->col[HAKT_COL_SIZE], size_bytes, &c->size) != 0 ||
            decode_cut(&d->col[HAKT_COL_OWN], own_bytes, &c->own) != 0)
            return bad(why, "the thread directory passes the end of a column");
        records += n;
    }
    if (records != b->records || left(&d->col[HAKT_COL_OP]) > 0 ||
        left(&d->col[HAKT_COL_SIZE]) > 0 || left(&d->col[HAKT_COL_OWN]) > 0)
        return bad(why, "the thread directory does not cover its columns");
    return 0;
}

/* The columns are read without looking for their ends, which are looked at after each record: a
 * number that passes the end of its column is read from what stands behind it, and at last from the
 * slack behind the content. */
static inline int take_slack(struct span *s, uint64_t *v) {
    const uint8_t *p = hakt_get_varint_slack(s->p, v);
    if (__builtin_expect(p == NULL, 0))
        return -1;
    s->p = p;
    return 0;
}

/* The object that a free or realloc names. */
static inline int decode_old(struct hakt_decoder *d, struct cursor *c, uint64_t *old_id) {
    uint64_t v;
    if (take_slack(&c->own, &v) != 0)
        return -1;
    if (v != 0) {
        if (v > c->nids)
            return -1;
        *old_id = d->first_id + c->ids[c->nids - v];
        return 0;
    }
    if (take(&d->far, &v) != 0 || v >= d->next_id)
        return -1;
    *old_id = v == 0 ? 0 : d->next_id - v;
    return 0;
}

static inline int decode_size(struct hakt_decoder *d, struct cursor *c, struct hakt_rec *r) {
    uint64_t v;
    if (take_slack(&c->size, &v) != 0)
        return -1;
    if (v == 0 && !(r->flags & (HAKT_REC_FAILED | HAKT_REC_UNFINISHED)))
        return 0; /* nothing asked for, nothing given */
    r->size = v - 1;
    if (r->flags & (HAKT_REC_FAILED | HAKT_REC_UNFINISHED))
        return 0;
    if (d->next_id >= d->last_id)
        return -1;
    c->ids[c->nids++] = (uint32_t)(d->next_id - d->first_id);
    r->id = d->next_id++;
    return 0;
}

/* Everything but a plain malloc or free, which cannot be wrong in themselves. */
static int decode_rare(struct hakt_decoder *d, struct cursor *c, struct hakt_rec *r) {
    if (r->op >= HAKT_OP_COUNT)
        return -1;
    if (hakt_op_has_old(r->op) && !(r->flags & HAKT_REC_FOREIGN) &&
        decode_old(d, c, &r->old_id) != 0)
        return -1;
    if (hakt_op_has_size(r->op) && decode_size(d, c, r) != 0)
        return -1;
    if (hakt_op_has_align(r->op)) {
        if (left(&d->align) == 0 || *d->align.p > 63)
            return -1;
        r->align_log2 = *d->align.p++;
    }
    return hakt_rec_check(r) == NULL ? 0 : -1;
}

/* Decodes one run of one thread. */
static int decode_run(struct hakt_decoder *d, struct cursor *cursor, struct hakt_rec *r,
                      uint64_t run) {
    struct cursor c = *cursor;
    uint64_t delta = 0, time = d->time;
    for (const struct hakt_rec *end = r + run; r < end; r++) {
        uint8_t code = *c.op.p++;
        if (d->has_times && take_slack(&d->at, &delta) != 0)
            return -1;
        time += delta;
        *r = (struct hakt_rec){.time = time,
                               .thread = c.thread,
                               .op = code & ((1u << HAKT_CODE_FLAGS_SHIFT) - 1),
                               .flags = code >> HAKT_CODE_FLAGS_SHIFT};
        int rc = code == HAKT_FREE     ? decode_old(d, &c, &r->old_id)
                 : code == HAKT_MALLOC ? decode_size(d, &c, r)
                                       : decode_rare(d, &c, r);
        if (rc != 0 || c.size.p > c.size.end || c.own.p > c.own.end || d->at.p > d->at.end ||
            time < delta) /* passed the end of time */
            return -1;
    }
    d->time = time;
    *cursor = c;
    return 0;
}

static int decode_spent(const struct hakt_decoder *d) {
    for (size_t k = 0; k < d->ncursors; k++) {
        const struct cursor *c = &d->cursors[k];
        if (left(&c->op) > 0 || left(&c->size) > 0 || left(&c->own) > 0)
            return -1;
    }
    return left(&d->far) > 0 || left(&d->align) > 0 || left(&d->at) > 0 ? -1 : 0;
}

int hakt_decode_begin(struct hakt_decoder *d, const struct hakt_block *b, const uint8_t *content,
                      const char **why) {
    int rc = decode_table(d, (struct span){content, content + b->content_bytes}, why);
    if (rc == 0)
        rc = decode_directory(d, b, why);
    if (rc != 0)
        return rc;
    d->schedule = d->col[HAKT_COL_SCHEDULE];
    d->far = d->col[HAKT_COL_FAR];
    d->align = d->col[HAKT_COL_ALIGN];
    d->at = d->col[HAKT_COL_TIME];
    d->has_times = left(&d->at) > 0;
    d->first_id = d->next_id = b->first_id;
    d->last_id = b->first_id + b->ids;
    d->time = b->first_time;
    d->last_time = b->last_time;
    d->records_left = b->records;
    d->run_left = 0;
    return 0;
}

static int decode_end(const struct hakt_decoder *d, const char **why) {
    if (d->records_left != 0 || decode_spent(d) != 0)
        return bad(why, "the schedule does not cover the chunk");
    if (d->next_id != d->last_id || d->time != d->last_time)
        return bad(why, "the records contradict the block header");
    return 0;
}

/* Takes the next run of the schedule. */
static int decode_turn(struct hakt_decoder *d, const char **why) {
    if (take(&d->schedule, &d->place) != 0 || take(&d->schedule, &d->run_left) != 0 ||
        d->place >= d->ncursors || d->run_left > left(&d->cursors[d->place].op))
        return bad(why, "the schedule is broken");
    return 0;
}

int hakt_decode_some(struct hakt_decoder *d, struct hakt_rec *recs, size_t most, size_t *n,
                     const char **why) {
    size_t done = 0;
    *n = 0;
    for (;;) {
        while (d->run_left == 0 && left(&d->schedule) > 0) {
            int rc = decode_turn(d, why);
            if (rc != 0)
                return rc;
        }
        uint64_t run = d->run_left < most - done ? d->run_left : most - done;
        if (run == 0)
            break;
        if (decode_run(d, &d->cursors[d->place], recs + done, run) != 0)
            return bad(why, "a record contradicts its chunk");
        done += run;
        d->run_left -= run;
    }
    d->records_left -= done; /* no more than there are: the op columns have no more bytes */
    *n = done;
    return d->run_left == 0 ? decode_end(d, why) : 0; /* nothing is scheduled any more */
}

int hakt_decode_chunk(struct hakt_decoder *d, const struct hakt_block *b, const uint8_t *content,
                      struct hakt_rec *recs, const char **why) {
    size_t n;
    int rc = hakt_decode_begin(d, b, content, why);
    return rc == 0 ? hakt_decode_some(d, recs, b->records, &n, why) : rc;
}
