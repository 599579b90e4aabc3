#include <stdlib.h>
#include <string.h>
#include "tracer/format/encode.h"
#include "tracer/format/record.h"
#include "tracer/format/varint.h"

#define RECORDS_MIN 16                    /* first room of a thread */
#define HELD_MAX    (8u * HAKT_CHUNK_MAX) /* records' room kept from chunk to chunk */

struct hakt_encoder *hakt_encoder_new(void) {
    struct hakt_encoder *e = calloc(1, sizeof(*e));
    if (e == NULL)
        return NULL;
    e->births = calloc(HAKT_CHUNK_MAX, sizeof(*e->births));
    e->runs = malloc(HAKT_CHUNK_MAX * sizeof(*e->runs));
    e->far_end = e->far = malloc((size_t)HAKT_CHUNK_MAX * HAKT_VARINT_MAX);
    e->at_end = e->at = malloc((size_t)HAKT_CHUNK_MAX * HAKT_VARINT_MAX);
    e->align_end = e->align = malloc(HAKT_CHUNK_MAX);
    e->first_id = e->next_id = 1;
    if (e->births != NULL && e->runs != NULL && e->far != NULL && e->at != NULL && e->align != NULL)
        return e;
    hakt_encoder_free(e);
    return NULL;
}

static void part_free(struct hakt_enc_part *t) {
    free(t->op);
    free(t->size);
    free(t->own);
    memset(t, 0, sizeof(*t));
}

void hakt_encoder_free(struct hakt_encoder *e) {
    if (e == NULL)
        return;
    for (uint32_t i = 0; i < e->parts_cap; i++)
        part_free(&e->parts[i]);
    free(e->parts);
    free(e->present);
    free(e->births);
    free(e->runs);
    free(e->far);
    free(e->at);
    free(e->align);
    free(e);
}

static int threads_grow(struct hakt_encoder *e, uint32_t thread) {
    uint32_t cap = thread + thread / 2 + 16;
    struct hakt_enc_part *t = realloc(e->parts, cap * sizeof(*t));
    if (t == NULL)
        return HAKC_ENOMEM;
    e->parts = t;
    memset(t + e->parts_cap, 0, (cap - e->parts_cap) * sizeof(*t));
    e->parts_cap = cap;
    uint32_t *p = realloc(e->present, cap * sizeof(*p));
    if (p == NULL)
        return HAKC_ENOMEM;
    e->present = p;
    return 0;
}

static int part_grow(struct hakt_encoder *e, struct hakt_enc_part *t) {
    uint32_t cap = t->cap == 0 ? RECORDS_MIN : t->cap * 2;
    ptrdiff_t size_bytes = t->cap != 0 ? t->size_end - t->size : 0;
    ptrdiff_t own_bytes = t->cap != 0 ? t->own_end - t->own : 0;
    uint8_t *op = realloc(t->op, cap);
    t->op = op != NULL ? op : t->op;
    uint8_t *size = realloc(t->size, (size_t)cap * HAKT_VARINT_MAX);
    t->size = size != NULL ? size : t->size;
    uint8_t *own = realloc(t->own, (size_t)cap * HAKT_VARINT_MAX);
    t->own = own != NULL ? own : t->own;
    t->size_end = t->size != NULL ? t->size + size_bytes : NULL;
    t->own_end = t->own != NULL ? t->own + own_bytes : NULL;
    if (op == NULL || size == NULL || own == NULL)
        return HAKC_ENOMEM;
    e->held += cap - t->cap;
    t->cap = cap;
    return 0;
}

/* The chunk gets a second thread: from here on it is kept who made which id. */
static void begin_births(struct hakt_encoder *e) {
    uint32_t first = e->present[0];
    for (uint32_t k = 0; k < e->parts[first].allocs; k++)
        e->births[k] = (struct hakt_enc_birth){first, k};
}

/* Another thread than the last record's. */
static int switch_thread(struct hakt_encoder *e, uint32_t thread) {
    if (thread >= e->parts_cap && threads_grow(e, thread) != 0)
        return HAKC_ENOMEM;
    if (e->run > 0)
        e->runs[e->nruns++] = (struct hakt_enc_run){e->current, e->run};
    e->current = thread;
    e->run = 0;
    if (e->parts[thread].records == 0) {
        if (e->npresent == 1)
            begin_births(e);
        e->present[e->npresent++] = thread;
    }
    return 0;
}

int hakt_encoder_begin_run(struct hakt_encoder *e, uint32_t thread, uint32_t n, uint64_t time) {
    if ((thread != e->current || e->n == 0) && switch_thread(e, thread) != 0)
        return HAKC_ENOMEM;
    e->part = &e->parts[thread];
    while (e->part->cap - e->part->records < n) {
        if (part_grow(e, e->part) != 0)
            return HAKC_ENOMEM;
    }
    if (e->n == 0)
        e->first_time = e->time = time;
    return 0;
}

static inline void add_old(struct hakt_encoder *e, struct hakt_enc_part *t,
                           const struct hakt_rec *r) {
    uint64_t own = hakt_encoder_own(e, t, r->old_id);
    t->own_end = hakt_put_varint(t->own_end, own);
    if (own == 0)
        e->far_end = hakt_put_varint(e->far_end, r->old_id == 0 ? 0 : e->next_id - r->old_id);
}

int hakt_encoder_add(struct hakt_encoder *e, const struct hakt_rec *r) {
    if (hakt_encoder_begin_run(e, r->thread, 1, r->time) != 0)
        return HAKC_ENOMEM;
    struct hakt_enc_part *t = e->part;
    hakt_encoder_begin(e, r->op | r->flags << HAKT_CODE_FLAGS_SHIFT, r->time);
    if (hakt_op_has_old(r->op) && !(r->flags & HAKT_REC_FOREIGN))
        add_old(e, t, r);
    if (hakt_op_has_size(r->op)) {
        if (hakt_op_has_align(r->op))
            *e->align_end++ = r->align_log2;
        int absent = r->id == 0 && !(r->flags & (HAKT_REC_FAILED | HAKT_REC_UNFINISHED));
        t->size_end = hakt_put_varint(t->size_end, absent ? 0 : r->size + 1);
        if (r->id != 0)
            hakt_encoder_birth(e);
    }
    return 0;
}

#define DIRECTORY_ENTRY 20 /* bytes at the most: four numbers of at most 32 bits */
#define SCHEDULE_ENTRY  10
#define TABLE           (16 + (HAKT_COL_COUNT - 1) * (2 + HAKT_VARINT_MAX))

size_t hakt_encoder_bytes(const struct hakt_encoder *e) {
    size_t total = TABLE + (size_t)e->npresent * DIRECTORY_ENTRY +
                   ((size_t)e->nruns + 1) * SCHEDULE_ENTRY + (size_t)(e->far_end - e->far) +
                   (size_t)(e->align_end - e->align) + (size_t)(e->at_end - e->at);
    for (uint32_t k = 0; k < e->npresent; k++) {
        const struct hakt_enc_part *t = &e->parts[e->present[k]];
        total += t->records + (size_t)(t->size_end - t->size) + (size_t)(t->own_end - t->own);
    }
    return total;
}

static int compare_u32(const void *a, const void *b) {
    uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;
    return x < y ? -1 : x > y;
}

static uint8_t *put(uint8_t *p, const uint8_t *from, size_t n) {
    memcpy(p, from, n);
    return p + n;
}

/* The directory, into p; and the size of each column grouped by thread. */
static uint8_t *put_directory(struct hakt_encoder *e, uint8_t *p, size_t bytes[HAKT_COL_COUNT]) {
    uint32_t previous = 0;
    qsort(e->present, e->npresent, sizeof(*e->present), compare_u32);
    for (uint32_t k = 0; k < e->npresent; k++) {
        struct hakt_enc_part *t = &e->parts[e->present[k]];
        t->place = k;
        p = hakt_put_varint(p, e->present[k] - previous);
        p = hakt_put_varint(p, t->records);
        p = hakt_put_varint(p, (uint64_t)(t->size_end - t->size));
        p = hakt_put_varint(p, (uint64_t)(t->own_end - t->own));
        bytes[HAKT_COL_OP] += t->records;
        bytes[HAKT_COL_SIZE] += (size_t)(t->size_end - t->size);
        bytes[HAKT_COL_OWN] += (size_t)(t->own_end - t->own);
        previous = e->present[k];
    }
    return p;
}

static uint8_t *put_schedule(struct hakt_encoder *e, uint8_t *p) {
    e->runs[e->nruns++] = (struct hakt_enc_run){e->current, e->run};
    for (uint32_t i = 0; i < e->nruns; i++) {
        p = hakt_put_varint(p, e->parts[e->runs[i].thread].place);
        p = hakt_put_varint(p, e->runs[i].records);
    }
    return p;
}

static uint8_t *put_table(uint8_t *p, const size_t bytes[HAKT_COL_COUNT]) {
    p = hakt_put_varint(p, HAKT_COL_COUNT - 1);
    for (int c = 1; c < HAKT_COL_COUNT; c++) {
        *p++ = (uint8_t)c;
        *p++ = c == HAKT_COL_OP || c == HAKT_COL_ALIGN ? HAKT_ENC_BYTES : HAKT_ENC_VARINT;
        p = hakt_put_varint(p, bytes[c]);
    }
    return p;
}

static uint8_t *put_parts(struct hakt_encoder *e, uint8_t *p) {
    for (uint32_t k = 0; k < e->npresent; k++)
        p = put(p, e->parts[e->present[k]].op, e->parts[e->present[k]].records);
    for (uint32_t k = 0; k < e->npresent; k++) {
        const struct hakt_enc_part *t = &e->parts[e->present[k]];
        p = put(p, t->size, (size_t)(t->size_end - t->size));
    }
    for (uint32_t k = 0; k < e->npresent; k++) {
        const struct hakt_enc_part *t = &e->parts[e->present[k]];
        p = put(p, t->own, (size_t)(t->own_end - t->own));
    }
    return p;
}

static void next_chunk(struct hakt_encoder *e) {
    int release = e->held > HELD_MAX;
    for (uint32_t k = 0; k < e->npresent; k++) {
        struct hakt_enc_part *t = &e->parts[e->present[k]];
        if (release) {
            e->held -= t->cap;
            part_free(t);
        }
        t->records = t->allocs = 0;
        t->size_end = t->size;
        t->own_end = t->own;
    }
    e->npresent = e->nruns = e->run = e->n = 0;
    e->first_id = e->next_id;
    e->far_end = e->far;
    e->at_end = e->at;
    e->align_end = e->align;
}

size_t hakt_encoder_finish(struct hakt_encoder *e, struct hakt_bytes *out) {
    size_t bytes[HAKT_COL_COUNT] = {0};
    /* Directory and schedule, until their sizes are known. */
    uint8_t *head = malloc((size_t)e->npresent * DIRECTORY_ENTRY +
                           ((size_t)e->nruns + 1) * SCHEDULE_ENTRY + 16);
    if (head == NULL)
        return 0;
    uint8_t *middle = put_directory(e, head, bytes);
    uint8_t *end = put_schedule(e, middle);
    bytes[HAKT_COL_THREADS] = (size_t)(middle - head);
    bytes[HAKT_COL_SCHEDULE] = (size_t)(end - middle);
    bytes[HAKT_COL_FAR] = (size_t)(e->far_end - e->far);
    bytes[HAKT_COL_ALIGN] = (size_t)(e->align_end - e->align);
    bytes[HAKT_COL_TIME] = e->time == e->first_time ? 0 : (size_t)(e->at_end - e->at);
    size_t total = TABLE;
    for (int c = 1; c < HAKT_COL_COUNT; c++)
        total += bytes[c];
    if (hakt_bytes_reserve(out, total) != 0) {
        free(head);
        return 0;
    }
    uint8_t *p = put_table(out->p, bytes);
    p = put_parts(e, put(p, head, (size_t)(end - head)));
    p = put(p, e->far, bytes[HAKT_COL_FAR]);
    p = put(p, e->align, bytes[HAKT_COL_ALIGN]);
    p = put(p, e->at, bytes[HAKT_COL_TIME]);
    free(head);
    next_chunk(e);
    return (size_t)(p - out->p);
}
