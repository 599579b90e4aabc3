#include "tracer/scan.h"

#include <stdlib.h>
#include <string.h>

struct hakt_scan *hakt_scan_new(void) {
    struct hakt_scan *s = calloc(1, sizeof(*s));
    if (s == NULL)
        return NULL;
    hakc_hist_init(&s->sizes);
    hakc_hist_init(&s->ns);
    hakc_hist_init(&s->records);
    if (hakc_map_init(&s->by_id, 0) == 0 && hakc_map_init(&s->by_pair, 0) == 0)
        return s;
    hakt_scan_free(s);
    return NULL;
}

void hakt_scan_free(struct hakt_scan *s) {
    if (s == NULL)
        return;
    hakc_map_fini(&s->by_id);
    hakc_map_fini(&s->by_pair);
    free(s->threads);
    free(s->pairs);
    free(s->objects);
    free(s);
}

/* The class of a number: 0, or the place of its highest bit from 1. */
static unsigned class_of(uint64_t v) {
    return v == 0 ? 0 : 64 - (unsigned)__builtin_clzll(v);
}

/* Room for one more element of an array that doubles. */
static int room(void **p, size_t *cap, size_t need, size_t bytes) {
    if (need <= *cap)
        return 0;
    size_t cap2 = need + need / 2 + 64;
    void *more = realloc(*p, cap2 * bytes);
    if (more == NULL)
        return HAKC_ENOMEM;
    *p = more;
    *cap = cap2;
    return 0;
}

static struct hakt_scan_thread *thread_of(struct hakt_scan *s, uint32_t number, uint64_t time) {
    size_t n = (size_t)number + 1;
    if (n > s->nthreads) {
        if (room((void **)&s->threads, &s->threads_cap, n, sizeof(*s->threads)) != 0)
            return NULL;
        memset(s->threads + s->nthreads, 0, (n - s->nthreads) * sizeof(*s->threads));
        for (size_t i = s->nthreads; i < n; i++)
            s->threads[i].first_time = UINT64_MAX;
        s->nthreads = n;
    }
    struct hakt_scan_thread *t = &s->threads[number];
    if (t->first_time == UINT64_MAX)
        t->first_time = time;
    t->last_time = time;
    return t;
}

static int count_pair(struct hakt_scan *s, uint32_t from, uint32_t to) {
    uint64_t key = (uint64_t)from << 32 | to; /* never 0: from and to differ */
    uint64_t *known = hakc_map_find(&s->by_pair, key);
    if (known != NULL) {
        s->pairs[*known - 1].count++;
        return 0;
    }
    if (s->npairs == HAKT_PAIRS_MAX) {
        s->unpaired++;
        return 0;
    }
    if (room((void **)&s->pairs, &s->pairs_cap, s->npairs + 1, sizeof(*s->pairs)) != 0)
        return HAKC_ENOMEM;
    s->pairs[s->npairs++] = (struct hakt_scan_pair){from, to, 1};
    return hakc_map_put(&s->by_pair, key, s->npairs);
}

static int made(struct hakt_scan *s, const struct hakt_rec *r, uint64_t number) {
    uint32_t k = s->free_object;
    if (k != 0) {
        s->free_object = s->objects[k - 1].next_free;
    } else {
        if (s->nobjects == UINT32_MAX - 1 ||
            room((void **)&s->objects, &s->objects_cap, s->nobjects + 1, sizeof(*s->objects)) != 0)
            return HAKC_ENOMEM;
        k = (uint32_t)++s->nobjects;
    }
    s->objects[k - 1] = (struct hakt_scan_object){
        .time = r->time, .record = number, .size = r->size, .thread = r->thread};
    unsigned c = class_of(r->size);
    s->size_count[c]++;
    s->size_bytes[c] += r->size;
    s->requested += r->size;
    hakc_hist_add(&s->sizes, r->size);
    return hakc_map_put(&s->by_id, r->id, k);
}

static int consumed(struct hakt_scan *s, struct hakt_scan_thread *t, const struct hakt_rec *r,
                    uint64_t number) {
    uint64_t k;
    if (!hakc_map_take(&s->by_id, r->old_id, &k))
        return 0;
    struct hakt_scan_object *o = &s->objects[k - 1];
    uint64_t ns = r->time - o->time, records = number - o->record;
    unsigned other = o->thread != r->thread;
    s->consumed++;
    s->handovers += other;
    t->frees++;
    t->taken += other;
    s->threads[o->thread].given += other;
    if (r->op == HAKT_FREE) {
        s->freed++;
        s->freed_handovers += other;
    }
    s->ns_count[class_of(ns)]++;
    s->records_count[class_of(records)]++;
    hakc_hist_add(&s->ns, ns);
    hakc_hist_add(&s->records, records);
    o->next_free = s->free_object;
    s->free_object = (uint32_t)k;
    return other ? count_pair(s, o->thread, r->thread) : 0;
}

static int scan_record(struct hakt_scan *s, const struct hakt_rec *r, uint64_t number) {
    int is_op = r->op != HAKT_THREAD_START && r->op != HAKT_THREAD_END;
    struct hakt_scan_thread *t = thread_of(s, r->thread, r->time);
    if (t == NULL)
        return HAKC_ENOMEM;
    s->ops_by_kind[r->op]++;
    s->ops += (unsigned)is_op;
    t->ops += (unsigned)is_op;
    s->failed += (r->flags & HAKT_REC_FAILED) != 0;
    s->foreign += (r->flags & HAKT_REC_FOREIGN) != 0;
    s->implied += (r->flags & HAKT_REC_IMPLIED) != 0;
    s->unfinished += (r->flags & HAKT_REC_UNFINISHED) != 0;
    int rc = 0;
    if (r->old_id != 0 && !(r->flags & HAKT_REC_FAILED))
        rc = consumed(s, t, r, number);
    if (rc != 0 || r->id == 0)
        return rc;
    t->allocations++;
    t->requested += r->size;
    return made(s, r, number);
}

static int scan_events(struct hakt_scan *s, struct hakt_reader *r, struct hakc_err *err) {
    const struct hakt_event *e;
    int rc;
    while ((rc = hakt_reader_next_event(r, &e, err)) == 0 && e != NULL) {
        unsigned kind = e->kind < HAKT_EVENT_KINDS ? e->kind : HAKT_EVENT_KINDS - 1;
        s->events++;
        s->events_by_kind[kind]++;
        s->events_failed[kind] += e->flags & HAKT_EVENT_FAILED;
    }
    return rc;
}

static int more_frequent(const void *a, const void *b) {
    const struct hakt_scan_pair *x = a, *y = b;
    if (x->count != y->count)
        return x->count < y->count ? 1 : -1;
    return x->from != y->from ? (x->from > y->from) - (x->from < y->from)
                              : (x->to > y->to) - (x->to < y->to);
}

int hakt_scan_run(struct hakt_scan *s, struct hakt_reader *r, struct hakc_err *err) {
    const struct hakt_rec *recs;
    uint64_t number = 0;
    size_t n;
    int rc;
    while ((rc = hakt_reader_next(r, &recs, &n, err)) == 0 && n > 0) {
        for (size_t i = 0; i < n; i++) {
            if (scan_record(s, &recs[i], number++) != 0)
                return hakc_fail(err, HAKC_ENOMEM, "no memory for the live objects");
        }
    }
    if (rc == 0)
        rc = scan_events(s, r, err);
    const struct hakt_thread_drops *drops = hakt_reader_drops(r, &n);
    for (size_t i = 0; i < n && rc == 0; i++) {
        if (drops[i].thread < s->nthreads)
            s->threads[drops[i].thread].dropped += drops[i].dropped;
    }
    s->live_at_end = hakc_map_count(&s->by_id);
    if (s->npairs > 0)
        qsort(s->pairs, s->npairs, sizeof(*s->pairs), more_frequent);
    return rc;
}
