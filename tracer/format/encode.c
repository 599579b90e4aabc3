#include <stdlib.h>
#include <string.h>
#include "tracer/format/chunk.h"
#include "tracer/format/record.h"
#include "tracer/format/varint.h"

/* Where an allocation of this chunk was made. */
struct birth {
    uint32_t thread;
    uint32_t nth; /* among the thread's allocations in the chunk */
};

struct thread_state {
    uint32_t records;
    uint32_t allocs;
    uint32_t place;      /* in the directory */
    uint32_t size_bytes; /* of its part of the column */
    uint32_t own_bytes;
};

struct hakt_encoder {
    struct birth *births;         /* by id - first id of the chunk */
    uint64_t *own;                /* by record: value for the own column */
    uint32_t *order;              /* record numbers, grouped by thread */
    size_t cap;                   /* of the three */
    struct thread_state *threads; /* by thread number */
    uint32_t threads_cap;
    uint32_t *present; /* the threads of this chunk, ascending */
    uint32_t npresent;
    struct hakt_bytes col[HAKT_COL_COUNT];
    uint8_t *end[HAKT_COL_COUNT]; /* write position in each */
};

struct hakt_encoder *hakt_encoder_new(void) {
    return calloc(1, sizeof(struct hakt_encoder));
}

void hakt_encoder_free(struct hakt_encoder *e) {
    if (e == NULL)
        return;
    for (int c = 0; c < HAKT_COL_COUNT; c++)
        free(e->col[c].p);
    free(e->births);
    free(e->own);
    free(e->order);
    free(e->threads);
    free(e->present);
    free(e);
}

static int encode_reserve_records(struct hakt_encoder *e, size_t n) {
    if (n <= e->cap)
        return 0;
    free(e->births);
    free(e->own);
    free(e->order);
    e->births = malloc(n * sizeof(*e->births));
    e->own = malloc(n * sizeof(*e->own));
    e->order = malloc(n * sizeof(*e->order));
    e->cap = e->births != NULL && e->own != NULL && e->order != NULL ? n : 0;
    return e->cap == n ? 0 : HAKC_ENOMEM;
}

static int encode_reserve(struct hakt_encoder *e, const struct hakt_rec *recs, size_t n) {
    uint32_t highest = 0;
    for (size_t i = 0; i < n; i++)
        highest = recs[i].thread > highest ? recs[i].thread : highest;
    if (highest >= e->threads_cap) {
        uint32_t cap = highest + highest / 2 + 16;
        struct thread_state *t = realloc(e->threads, cap * sizeof(*t));
        if (t == NULL)
            return HAKC_ENOMEM;
        e->threads = t;
        uint32_t *p = realloc(e->present, cap * sizeof(*p));
        if (p == NULL)
            return HAKC_ENOMEM;
        e->present = p;
        memset(t + e->threads_cap, 0, (cap - e->threads_cap) * sizeof(*t));
        e->threads_cap = cap;
    }
    for (int c = 1; c < HAKT_COL_COUNT; c++) {
        size_t most = n * HAKT_VARINT_MAX;
        if (c == HAKT_COL_THREADS || c == HAKT_COL_SCHEDULE)
            most = n * 20; /* entries of four and two numbers of at most 32 bits */
        if (hakt_bytes_reserve(&e->col[c], most) != 0)
            return HAKC_ENOMEM;
        e->end[c] = e->col[c].p;
    }
    return 0;
}

/* First pass, in the trace's order: the columns that stand in this order, the value of the own
 * column for each record, and how many records each thread has. */
static void encode_in_order(struct hakt_encoder *e, const struct hakt_rec *recs, size_t n,
                            uint64_t first_id) {
    uint64_t next_id = first_id, time = recs[0].time;
    uint8_t *far = e->end[HAKT_COL_FAR], *at = e->end[HAKT_COL_TIME];
    e->npresent = 0;
    for (size_t i = 0; i < n; i++) {
        const struct hakt_rec *r = &recs[i];
        struct thread_state *t = &e->threads[r->thread];
        if (t->records++ == 0)
            e->present[e->npresent++] = r->thread;
        at = hakt_put_varint(at, r->time - time);
        time = r->time;
        if (hakt_op_has_old(r->op) && !(r->flags & HAKT_REC_FOREIGN)) {
            uint64_t k = r->old_id - first_id; /* of an older object: unused */
            if (r->old_id >= first_id && e->births[k].thread == r->thread) {
                e->own[i] = t->allocs - e->births[k].nth;
            } else {
                e->own[i] = 0;
                far = hakt_put_varint(far, r->old_id == 0 ? 0 : next_id - r->old_id);
            }
        }
        if (hakt_op_has_align(r->op))
            *e->end[HAKT_COL_ALIGN]++ = r->align_log2;
        if (r->id != 0) {
            e->births[next_id - first_id] = (struct birth){r->thread, t->allocs++};
            next_id++;
        }
    }
    e->end[HAKT_COL_FAR] = far;
    e->end[HAKT_COL_TIME] = time == recs[0].time ? e->col[HAKT_COL_TIME].p : at;
}

static int compare_u32(const void *a, const void *b) {
    uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;
    return x < y ? -1 : x > y;
}

/* Sorts the record numbers by thread, stably, and writes the schedule. */
static void encode_schedule(struct hakt_encoder *e, const struct hakt_rec *recs, size_t n) {
    uint8_t *out = e->end[HAKT_COL_SCHEDULE];
    static const uint32_t none = UINT32_MAX;
    uint32_t start = 0, current = none, run = 0;
    qsort(e->present, e->npresent, sizeof(*e->present), compare_u32);
    for (uint32_t k = 0; k < e->npresent; k++) {
        struct thread_state *t = &e->threads[e->present[k]];
        t->place = k;
        t->own_bytes = start; /* for now: where its next record number goes */
        start += t->records;
    }
    for (size_t i = 0; i < n; i++) {
        struct thread_state *t = &e->threads[recs[i].thread];
        e->order[t->own_bytes++] = (uint32_t)i;
        if (t->place != current) {
            if (current != none) {
                out = hakt_put_varint(out, current);
                out = hakt_put_varint(out, run);
            }
            current = t->place;
            run = 0;
        }
        run++;
    }
    out = hakt_put_varint(out, current);
    e->end[HAKT_COL_SCHEDULE] = hakt_put_varint(out, run);
}

/* Second pass, thread by thread: the columns grouped by thread, and the directory. */
static void encode_by_thread(struct hakt_encoder *e, const struct hakt_rec *recs) {
    const uint32_t *order = e->order;
    uint8_t *op = e->end[HAKT_COL_OP], *size = e->end[HAKT_COL_SIZE], *own = e->end[HAKT_COL_OWN];
    uint8_t *dir = e->end[HAKT_COL_THREADS];
    uint32_t previous = 0;
    for (uint32_t k = 0; k < e->npresent; k++) {
        uint32_t number = e->present[k];
        struct thread_state *t = &e->threads[number];
        const uint8_t *size_start = size, *own_start = own;
        for (uint32_t j = 0; j < t->records; j++) {
            uint32_t i = *order++;
            const struct hakt_rec *r = &recs[i];
            *op++ = (uint8_t)(r->op | r->flags << HAKT_CODE_FLAGS_SHIFT);
            if (hakt_op_has_size(r->op)) {
                int absent = r->id == 0 && !(r->flags & (HAKT_REC_FAILED | HAKT_REC_UNFINISHED));
                size = hakt_put_varint(size, absent ? 0 : r->size + 1);
            }
            if (hakt_op_has_old(r->op) && !(r->flags & HAKT_REC_FOREIGN))
                own = hakt_put_varint(own, e->own[i]);
        }
        dir = hakt_put_varint(dir, number - previous);
        dir = hakt_put_varint(dir, t->records);
        dir = hakt_put_varint(dir, (uint64_t)(size - size_start));
        dir = hakt_put_varint(dir, (uint64_t)(own - own_start));
        previous = number;
        memset(t, 0, sizeof(*t));
    }
    e->end[HAKT_COL_OP] = op;
    e->end[HAKT_COL_SIZE] = size;
    e->end[HAKT_COL_OWN] = own;
    e->end[HAKT_COL_THREADS] = dir;
}

static size_t encode_assemble(struct hakt_encoder *e, struct hakt_bytes *out) {
    size_t total = 1 + (HAKT_COL_COUNT - 1) * (2 + HAKT_VARINT_MAX);
    for (int c = 1; c < HAKT_COL_COUNT; c++)
        total += (size_t)(e->end[c] - e->col[c].p);
    if (hakt_bytes_reserve(out, total) != 0)
        return 0;
    uint8_t *p = hakt_put_varint(out->p, HAKT_COL_COUNT - 1);
    for (int c = 1; c < HAKT_COL_COUNT; c++) {
        *p++ = (uint8_t)c;
        *p++ = c == HAKT_COL_OP || c == HAKT_COL_ALIGN ? HAKT_ENC_BYTES : HAKT_ENC_VARINT;
        p = hakt_put_varint(p, (uint64_t)(e->end[c] - e->col[c].p));
    }
    for (int c = 1; c < HAKT_COL_COUNT; c++) {
        size_t n = (size_t)(e->end[c] - e->col[c].p);
        memcpy(p, e->col[c].p, n);
        p += n;
    }
    return (size_t)(p - out->p);
}

size_t hakt_encode_chunk(struct hakt_encoder *e, const struct hakt_rec *recs, size_t n,
                         uint64_t first_id, struct hakt_bytes *out) {
    if (encode_reserve_records(e, n) != 0 || encode_reserve(e, recs, n) != 0)
        return 0;
    encode_in_order(e, recs, n, first_id);
    encode_schedule(e, recs, n);
    encode_by_thread(e, recs);
    return encode_assemble(e, out);
}
