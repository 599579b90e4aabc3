#include "tracer/info_lists.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

static void put_ops(struct hakc_out *o, const struct hakt_scan *s) {
    static const struct hakc_col cols[] = {{"op", "op", HAKC_COL_STR, 0},
                                           {"count", "count", HAKC_COL_INT, 0},
                                           {"percent", "%", HAKC_COL_FLOAT, 2}};
    hakc_out_list(o, "ops_by_kind", "Operations", cols, 3);
    for (unsigned op = 0; op < HAKT_OP_COUNT; op++) {
        int marker = op == HAKT_THREAD_START || op == HAKT_THREAD_END;
        if (s->ops_by_kind[op] == 0)
            continue;
        hakc_out_row(o);
        hakc_out_cell_str(o, hakt_op_name(op));
        hakc_out_cell_uint(o, s->ops_by_kind[op]);
        if (marker)
            hakc_out_cell_null(o);
        else
            hakc_out_cell_float(o, 100.0 * (double)s->ops_by_kind[op] / (double)s->ops);
    }
    hakc_out_list_end(o);
}

/* Rows by the highest bit of a number. bytes may be NULL. */
static void put_classes(struct hakc_out *o, const uint64_t *count, const uint64_t *bytes) {
    uint64_t all = 0;
    for (unsigned c = 0; c < HAKT_SIZE_CLASSES; c++)
        all += count[c];
    for (unsigned c = 0; c < HAKT_SIZE_CLASSES; c++) {
        if (count[c] == 0)
            continue;
        uint64_t low = c == 0 ? 0 : (uint64_t)1 << (c - 1);
        hakc_out_row(o);
        hakc_out_cell_uint(o, low);
        hakc_out_cell_uint(o, c == 0 ? 0 : low + (low - 1));
        hakc_out_cell_uint(o, count[c]);
        hakc_out_cell_float(o, 100.0 * (double)count[c] / (double)all);
        if (bytes != NULL)
            hakc_out_cell_uint(o, bytes[c]);
    }
    hakc_out_list_end(o);
}

static void put_histograms(struct hakc_out *o, const struct hakt_info *info,
                           const struct hakt_scan *s) {
    static const struct hakc_col sizes[] = {{"from_bytes", "size from (B)", HAKC_COL_INT, 0},
                                            {"to_bytes", "to (B)", HAKC_COL_INT, 0},
                                            {"count", "allocations", HAKC_COL_INT, 0},
                                            {"percent", "%", HAKC_COL_FLOAT, 2},
                                            {"requested_bytes", "asked for", HAKC_COL_BYTES, 0}};
    static const struct hakc_col ns[] = {{"from_ns", "from (ns)", HAKC_COL_INT, 0},
                                         {"to_ns", "to (ns)", HAKC_COL_INT, 0},
                                         {"count", "objects", HAKC_COL_INT, 0},
                                         {"percent", "%", HAKC_COL_FLOAT, 2}};
    static const struct hakc_col records[] = {{"from_records", "from (records)", HAKC_COL_INT, 0},
                                              {"to_records", "to (records)", HAKC_COL_INT, 0},
                                              {"count", "objects", HAKC_COL_INT, 0},
                                              {"percent", "%", HAKC_COL_FLOAT, 2}};
    hakc_out_list(o, "sizes", "Sizes asked for", sizes, 5);
    put_classes(o, s->size_count, s->size_bytes);
    if (info->fidelity & HAKT_HAS_TIMES) {
        hakc_out_list(o, "lifetimes", "Lifetimes, in time", ns, 4);
        put_classes(o, s->ns_count, NULL);
    }
    hakc_out_list(o, "lifetimes_records", "Lifetimes, in records", records, 4);
    put_classes(o, s->records_count, NULL);
}

enum quantity { BYTES, NS, RECORDS };

static void put_quantity(struct hakc_out *o, enum quantity what, const char *key, const char *label,
                         const struct hakc_hist *h, uint64_t v) {
    if (h->count == 0)
        hakc_out_null(o, key, label);
    else if (what == BYTES)
        hakc_out_bytes(o, key, label, v);
    else if (what == NS)
        hakc_out_duration(o, key, label, v);
    else
        hakc_out_uint(o, key, label, v);
}

static void put_quantiles(struct hakc_out *o, enum quantity what, const char *key,
                          const char *title, const struct hakc_hist *h) {
    static const struct {
        double q;
        const char *name, *label;
    } points[] = {{0, "min", "least"},
                  {0.5, "p50", "median"},
                  {0.9, "p90", "90 %"},
                  {0.99, "p99", "99 %"},
                  {1, "max", "most"}};
    static const char *const units[] = {"bytes", "ns", "records"};
    char name[32];
    hakc_out_section(o, key, title);
    for (size_t i = 0; i < sizeof(points) / sizeof(*points); i++) {
        snprintf(name, sizeof(name), "%s_%s", points[i].name, units[what]);
        put_quantity(o, what, name, points[i].label, h, hakc_hist_quantile(h, points[i].q));
    }
    hakc_out_section_end(o);
}

/* The threads with the most ops first. */
static int busier(const void *a, const void *b, void *ctx) {
    const struct hakt_scan_thread *threads = ctx;
    uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;
    if (threads[x].ops != threads[y].ops)
        return threads[x].ops < threads[y].ops ? 1 : -1;
    return (x > y) - (x < y);
}

static void put_thread(struct hakc_out *o, const struct hakt_info *info, uint32_t number,
                       const struct hakt_scan_thread *t) {
    int times = (info->fidelity & HAKT_HAS_TIMES) != 0 && t->first_time != UINT64_MAX;
    hakc_out_row(o);
    hakc_out_cell_uint(o, number);
    hakc_out_cell_uint(o, t->ops);
    hakc_out_cell_uint(o, t->allocations);
    hakc_out_cell_uint(o, t->frees);
    hakc_out_cell_uint(o, t->given);
    hakc_out_cell_uint(o, t->taken);
    hakc_out_cell_uint(o, t->requested);
    hakc_out_cell_uint(o, t->dropped);
    if (times) {
        hakc_out_cell_uint(o, t->first_time);
        hakc_out_cell_uint(o, t->last_time);
    }
}

static int put_threads(struct hakc_out *o, const struct hakt_info *info, const struct hakt_scan *s,
                       size_t rows) {
    static const struct hakc_col cols[] = {{"thread", "thread", HAKC_COL_INT, 0},
                                           {"ops", "ops", HAKC_COL_INT, 0},
                                           {"allocations", "allocations", HAKC_COL_INT, 0},
                                           {"frees", "freed", HAKC_COL_INT, 0},
                                           {"given", "given", HAKC_COL_INT, 0},
                                           {"taken", "taken", HAKC_COL_INT, 0},
                                           {"requested_bytes", "asked for", HAKC_COL_BYTES, 0},
                                           {"dropped", "lost", HAKC_COL_INT, 0},
                                           {"first_ns", "first", HAKC_COL_DURATION, 0},
                                           {"last_ns", "last", HAKC_COL_DURATION, 0}};
    uint32_t *order = calloc(s->nthreads + 1, sizeof(*order));
    if (order == NULL)
        return HAKC_ENOMEM;
    for (uint32_t i = 0; i < s->nthreads; i++)
        order[i] = i;
    qsort_r(order, s->nthreads, sizeof(*order), busier, s->threads);
    hakc_out_list(o, "threads", "Threads", cols, info->fidelity & HAKT_HAS_TIMES ? 10 : 8);
    for (size_t i = 0; i < s->nthreads && i < rows; i++)
        put_thread(o, info, order[i], &s->threads[order[i]]);
    hakc_out_list_end(o);
    free(order);
    return 0;
}

static void put_pairs(struct hakc_out *o, const struct hakt_scan *s, size_t rows) {
    static const struct hakc_col cols[] = {{"from_thread", "allocated by", HAKC_COL_INT, 0},
                                           {"to_thread", "given up by", HAKC_COL_INT, 0},
                                           {"count", "objects", HAKC_COL_INT, 0},
                                           {"percent", "%", HAKC_COL_FLOAT, 2}};
    hakc_out_list(o, "handover_pairs", "Hand-overs between threads", cols, 4);
    for (size_t i = 0; i < s->npairs && i < rows; i++) {
        hakc_out_row(o);
        hakc_out_cell_uint(o, s->pairs[i].from);
        hakc_out_cell_uint(o, s->pairs[i].to);
        hakc_out_cell_uint(o, s->pairs[i].count);
        hakc_out_cell_float(o, 100.0 * (double)s->pairs[i].count / (double)s->handovers);
    }
    hakc_out_list_end(o);
}

static void put_events(struct hakc_out *o, const struct hakt_scan *s) {
    static const struct hakc_col cols[] = {{"event", "event", HAKC_COL_STR, 0},
                                           {"count", "count", HAKC_COL_INT, 0},
                                           {"failed", "failed", HAKC_COL_INT, 0}};
    char number[16];
    hakc_out_list(o, "events", "Events beside the ops", cols, 3);
    for (unsigned k = 0; k < HAKT_EVENT_KINDS; k++) {
        if (s->events_by_kind[k] == 0)
            continue;
        snprintf(number, sizeof(number), "%u", k);
        hakc_out_row(o);
        hakc_out_cell_str(o, hakt_event_name(k) != NULL ? hakt_event_name(k) : number);
        hakc_out_cell_uint(o, s->events_by_kind[k]);
        hakc_out_cell_uint(o, s->events_failed[k]);
    }
    hakc_out_list_end(o);
}

int hakt_put_scan(struct hakc_out *o, const struct hakt_info *info, const struct hakt_scan *s,
                  size_t rows, struct hakc_err *err) {
    int all = rows == SIZE_MAX, rc = 0;
    put_quantiles(o, BYTES, "size_quantiles", "Sizes asked for", &s->sizes);
    if (info->fidelity & HAKT_HAS_TIMES)
        put_quantiles(o, NS, "lifetime_quantiles", "Lifetimes, in time", &s->ns);
    put_quantiles(o, RECORDS, "lifetime_records_quantiles", "Lifetimes, in records", &s->records);
    put_ops(o, s);
    put_histograms(o, info, s);
    if (info->fidelity & HAKT_HAS_THREADS) {
        rc = put_threads(o, info, s, rows);
        if (all || s->npairs > 0)
            put_pairs(o, s, rows);
    }
    if (all || s->events > 0)
        put_events(o, s);
    if (s->nthreads > rows && (info->fidelity & HAKT_HAS_THREADS))
        hakc_out_note(o, "Of %zu threads the %zu busiest are shown; --json has all.", s->nthreads,
                      rows);
    if (s->unpaired > 0)
        hakc_out_note(o, "%" PRIu64 " hand-overs are of pairs of threads that are not listed.",
                      s->unpaired);
    return rc == 0 ? 0 : hakc_fail(err, rc, "no memory for the list of threads");
}
