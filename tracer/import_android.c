/*
 * Android's memory_replay text as a trace.
 *
 * Without times the lines stand in the order in which the calls were logged, and so they are taken.
 * With times they are sorted by the start of each call. What counts for the order is the start of
 * a free and the end of an allocation (an address is free for others once free was called, and
 * was taken before malloc returned): so an allocation is held back until a line starts after its
 * end. A realloc gives up its old address at its start and has its new one at its end; one that
 * failed stands at its start.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "common/map.h"
#include "tracer/import.h"
#include "tracer/import_android.h"

#define HELD_MAX    65536      /* allocations held back at a time; more are not calls under way */
#define THREADS_MAX (1u << 20) /* that a trace can number */

/* An allocation whose end is not reached yet. */
struct held {
    uint64_t at;     /* its end, ns */
    uint64_t number; /* lines before it: equal ends stay in this order */
    uint64_t pointer;
    struct hakt_rec rec; /* without id and time */
};

struct android {
    struct hakt_lines *lines;
    struct hakt_writer *w;
    struct hakc_err *err;
    struct hakc_map live;    /* address → id */
    struct hakc_map threads; /* tid + 1 → thread number + 1 */
    uint32_t nthreads;
    uint64_t implied;
    int has_times;
    uint64_t base, time; /* ns: of the first line; of the last record */
    struct held *heap;   /* by (at, number), least first */
    size_t nheap;
    uint64_t count;
};

static int no_memory(struct android *a) {
    return hakc_fail(a->err, HAKC_ENOMEM, "no memory for the live set of the recording");
}

/* Times in the file may overlap between threads; a trace's do not run backwards. */
static uint64_t record_time(struct android *a, uint64_t at) {
    if (a->has_times && at > a->base && at - a->base > a->time)
        a->time = at - a->base;
    return a->time;
}

/* Writes an allocation, and before it the free that must have been if its address is taken. */
static int put_allocation(struct android *a, struct hakt_rec *r, uint64_t pointer, uint64_t at) {
    uint64_t other;
    r->time = record_time(a, at);
    if (r->id == 0)
        return hakt_write(a->w, r, a->err);
    if (hakc_map_take(&a->live, pointer, &other)) {
        struct hakt_rec gone = {.time = r->time,
                                .thread = r->thread,
                                .op = HAKT_FREE,
                                .flags = HAKT_REC_IMPLIED,
                                .old_id = other};
        a->implied++;
        int rc = hakt_write(a->w, &gone, a->err);
        if (rc != 0)
            return rc;
    }
    r->id = hakt_writer_next_id(a->w);
    if (hakc_map_put(&a->live, pointer, r->id) != 0)
        return no_memory(a);
    return hakt_write(a->w, r, a->err);
}

static int held_before(const struct held *x, const struct held *y) {
    return x->at != y->at ? x->at < y->at : x->number < y->number;
}

static void held_push(struct android *a, const struct held *h) {
    size_t i = a->nheap++;
    for (; i > 0 && held_before(h, &a->heap[(i - 1) / 2]); i = (i - 1) / 2)
        a->heap[i] = a->heap[(i - 1) / 2];
    a->heap[i] = *h;
}

static struct held held_pop(struct android *a) {
    struct held least = a->heap[0], last = a->heap[--a->nheap];
    size_t i = 0;
    for (size_t child; (child = 2 * i + 1) < a->nheap; i = child) {
        if (child + 1 < a->nheap && held_before(&a->heap[child + 1], &a->heap[child]))
            child++;
        if (!held_before(&a->heap[child], &last))
            break;
        a->heap[i] = a->heap[child];
    }
    a->heap[i] = last;
    return least;
}

/* Writes what ended before `at`, and what is too much to hold. */
static int release_held(struct android *a, uint64_t at, size_t keep) {
    while (a->nheap > 0 && (a->heap[0].at < at || a->nheap > keep)) {
        struct held h = held_pop(a);
        int rc = put_allocation(a, &h.rec, h.pointer, h.at);
        if (rc != 0)
            return rc;
    }
    return 0;
}

static int find_thread(struct android *a, uint64_t tid, uint32_t *thread) {
    if (tid == UINT64_MAX)
        return hakt_lines_fail(a->lines, a->err, "the thread id is too large");
    uint64_t *known = hakc_map_find(&a->threads, tid + 1);
    if (known == NULL) {
        if (a->nthreads == THREADS_MAX)
            return hakt_lines_fail(a->lines, a->err, "more threads than a trace can have (2^20)");
        if (hakc_map_put(&a->threads, tid + 1, a->nthreads + 1) != 0)
            return no_memory(a);
        *thread = a->nthreads++;
    } else {
        *thread = (uint32_t)(*known - 1);
    }
    return 0;
}

static uint8_t log2_up(uint64_t align) {
    return align <= 1 ? 0 : align > 1ull << 63 ? 63 : (uint8_t)(64 - __builtin_clzll(align - 1));
}

/* The object that a free or realloc consumes, taken out of the live set now. */
static void consume(struct android *a, struct hakt_rec *r, uint64_t pointer) {
    if (pointer != 0 && !hakc_map_take(&a->live, pointer, &r->old_id))
        r->flags |= HAKT_REC_FOREIGN;
}

static int put_free(struct android *a, const struct hakt_android_line *l, uint32_t thread) {
    struct hakt_rec r = {.op = HAKT_FREE, .thread = thread, .time = record_time(a, l->start)};
    consume(a, &r, l->pointer);
    return hakt_write(a->w, &r, a->err);
}

static int put_thread_done(struct android *a, const struct hakt_android_line *l, uint32_t thread) {
    /* Everything that the thread did must stand before its end. */
    int rc = release_held(a, UINT64_MAX, 0);
    if (rc != 0)
        return rc;
    struct hakt_rec r = {.op = HAKT_THREAD_END, .thread = thread, .time = record_time(a, l->start)};
    hakc_map_take(&a->threads, l->tid + 1, NULL); /* the system may give the tid out again */
    return hakt_write(a->w, &r, a->err);
}

static void make_allocation(struct android *a, const struct hakt_android_line *l,
                            struct hakt_rec *r) {
    static const uint8_t ops[] = {[HAKT_ANDROID_MALLOC] = HAKT_MALLOC,
                                  [HAKT_ANDROID_CALLOC] = HAKT_CALLOC,
                                  [HAKT_ANDROID_REALLOC] = HAKT_REALLOC,
                                  [HAKT_ANDROID_MEMALIGN] = HAKT_MEMALIGN};
    r->op = ops[l->op];
    r->size = l->size;
    r->align_log2 = l->op == HAKT_ANDROID_MEMALIGN ? log2_up(l->align) : 0;
    if (l->pointer != 0)
        r->id = 1; /* one to come */
    else if (l->size != 0)
        r->flags |= HAKT_REC_FAILED;
    if (l->op != HAKT_ANDROID_REALLOC)
        return;
    uint64_t *old = hakc_map_find(&a->live, l->old);
    if (!(r->flags & HAKT_REC_FAILED))
        consume(a, r, l->old);
    else if (old != NULL)
        r->old_id = *old;
    else if (l->old != 0)
        r->flags |= HAKT_REC_FOREIGN;
}

static int put_line(struct android *a, const struct hakt_android_line *l) {
    uint32_t thread = 0;
    int rc = a->has_times ? release_held(a, l->start, HELD_MAX - 1) : 0;
    if (rc == 0)
        rc = find_thread(a, l->tid, &thread);
    if (rc != 0)
        return rc;
    if (l->op == HAKT_ANDROID_FREE)
        return put_free(a, l, thread);
    if (l->op == HAKT_ANDROID_THREAD_DONE)
        return put_thread_done(a, l, thread);
    if (l->pointer != 0 && (l->overflow || l->size == UINT64_MAX))
        return hakt_lines_fail(a->lines, a->err, "an allocation of an impossible size succeeded");
    struct held h = {
        .at = l->end, .number = a->count++, .pointer = l->pointer, .rec = {.thread = thread}};
    make_allocation(a, l, &h.rec);
    /* The old object of a realloc that failed may be gone by the end of the call. */
    if (!a->has_times || ((h.rec.flags & HAKT_REC_FAILED) && h.rec.old_id != 0))
        return put_allocation(a, &h.rec, h.pointer, l->start);
    held_push(a, &h);
    return 0;
}

/* The next line that is not empty; *more = 0 at the end. */
static int next_line(struct android *a, struct hakt_android_line *l, int *more) {
    char *line;
    int rc;
    while ((rc = hakt_lines_next(a->lines, &line, a->err)) == 0 && line != NULL && *line == '\0')
        ;
    *more = line != NULL;
    if (rc != 0 || line == NULL)
        return rc;
    const char *why = hakt_android_parse(line, l);
    return why != NULL ? hakt_lines_fail(a->lines, a->err, why) : 0;
}

static int put_lines(struct android *a, struct hakt_android_line *l, int more) {
    int rc = 0;
    while (more && rc == 0) {
        rc = put_line(a, l);
        if (rc == 0)
            rc = next_line(a, l, &more);
        if (rc == 0 && more && l->has_times != a->has_times)
            rc = hakt_lines_fail(a->lines, a->err, "some lines have times and some have not");
    }
    return rc == 0 ? release_held(a, UINT64_MAX, 0) : rc;
}

static int import(struct android *a, const char *input, const char *output, int level,
                  int exact_ids, struct hakt_import_result *result) {
    struct hakt_android_line l;
    char source[512];
    int more, rc = next_line(a, &l, &more);
    if (rc != 0)
        return rc;
    a->has_times = more && l.has_times;
    a->base = more ? l.start : 0;
    snprintf(source, sizeof(source), "android memory_replay: %s", input);
    struct hakt_info info = {.fidelity = HAKT_HAS_THREADS | HAKT_EXACT_SIZES | HAKT_IMPORTED |
                                         (exact_ids ? HAKT_EXACT_IDS : 0) |
                                         (a->has_times ? HAKT_HAS_TIMES : 0),
                             .clock = a->has_times ? "monotonic" : "none",
                             .tool = "haktrace " HAK_VERSION,
                             .source = source};
    rc = hakt_writer_open(&a->w, output, &info, level, a->err);
    if (rc != 0)
        return rc;
    rc = put_lines(a, &l, more);
    result->implied = a->implied;
    return hakt_import_close(a->w, rc, &result->totals, a->err);
}

int hakt_import_android(const char *input, const char *output, int level, int exact_ids,
                        struct hakt_import_result *result, struct hakc_err *err) {
    struct android a = {.err = err};
    memset(result, 0, sizeof(*result));
    int rc = hakt_lines_open(&a.lines, input, err);
    if (rc != 0)
        return rc;
    a.heap = malloc(HELD_MAX * sizeof(*a.heap));
    if (a.heap == NULL || hakc_map_init(&a.live, 0) != 0 || hakc_map_init(&a.threads, 0) != 0)
        rc = no_memory(&a);
    else
        rc = import(&a, input, output, level, exact_ids, result);
    hakc_map_fini(&a.live);
    hakc_map_fini(&a.threads);
    free(a.heap);
    hakt_lines_close(a.lines);
    return rc;
}
