#include <stdlib.h>
#include "replay/report.h"

static const struct hakc_col cols[] = {
    {"allocator", "allocator", HAKC_COL_STR, 0}, {"op", "op", HAKC_COL_STR, 0},
    {"size_max_bytes", "", HAKC_COL_BYTES, 0},   {"ops", "ops", HAKC_COL_INT, 0},
    {"p50_ns", "p50", HAKC_COL_DURATION, 0},     {"p90_ns", "p90", HAKC_COL_DURATION, 0},
    {"p99_ns", "p99", HAKC_COL_DURATION, 0},     {"p999_ns", "p99.9", HAKC_COL_DURATION, 0},
    {"max_ns", "max", HAKC_COL_DURATION, 0},     {"mean_ns", "mean", HAKC_COL_DURATION, 0},
};
#define COLS (sizeof cols / sizeof *cols)

static const struct hakc_col slow_cols[] = {
    {"allocator", "allocator", HAKC_COL_STR, 0},
    {"ns", "took", HAKC_COL_DURATION, 0},
    {"op", "op", HAKC_COL_STR, 0},
    {"size_bytes", "size", HAKC_COL_BYTES, 0},
    {"thread", "thread", HAKC_COL_INT, 0},
    {"index", "op of thread", HAKC_COL_INT, 0},
};

static void row(struct hakc_out *o, const char *label, const char *op, uint64_t size_max,
                const struct hakc_hist *h, int table) {
    static const double q[] = {0.5, 0.9, 0.99, 0.999, 1};
    hakc_out_row(o);
    hakc_out_cell_str(o, label);
    hakc_out_cell_str(o, op);
    if (!table && size_max == UINT64_MAX)
        hakc_out_cell_null(o);
    else if (!table)
        hakc_out_cell_uint(o, size_max);
    hakc_out_cell_uint(o, h->count);
    for (size_t i = 0; i < sizeof q / sizeof *q; i++)
        hakc_out_cell_float(o, (double)hakc_hist_quantile(h, q[i]) / 1e3);
    hakc_out_cell_float(o, hakc_hist_mean(h) / 1e3);
}

/* Rows of a variant: by op; in data by op and size class too. */
static void rows(struct hakc_out *o, const char *label, const struct hakr_latency *l, int table,
                 struct hakc_hist *h) {
    for (unsigned op = 0; op <= HAKR_LAT_COUNT; op++) {
        hakc_hist_init(h);
        hakr_latency_sum(l, op, h);
        if (h->count != 0)
            row(o, label, hakr_latency_name(op), UINT64_MAX, h, table);
    }
}

static void class_rows(struct hakc_out *o, const char *label, const struct hakr_latency *l) {
    for (unsigned i = 0; i < HAKR_LATENCY_CELLS; i++)
        if (l->cells[i] != NULL)
            row(o, label, hakr_latency_name(i / HAKR_SIZE_CLASSES),
                hakr_size_class_max(i % HAKR_SIZE_CLASSES), l->cells[i], 0);
}

/* Adds up a variant's runs; NULL if there are none or one failed. */
static struct hakr_latency *merged(const struct hakr_experiment *e, size_t v) {
    struct hakr_latency *l = NULL;
    if (hakr_experiment_failure(e, v, HAKR_PASS_LATENCY) != NULL)
        return NULL;
    for (size_t i = 0; i < e->n_runs; i++) {
        const struct hakr_latency *from = e->runs[i].result.latency;
        if (e->runs[i].variant != v || from == NULL)
            continue;
        if (l == NULL)
            l = hakr_latency_new(e->slowest);
        if (l == NULL || hakr_latency_add(l, from, NULL) != 0)
            break;
    }
    return l;
}

static void slowest(struct hakc_out *o, const char *label, const struct hakr_latency *l) {
    for (uint32_t i = 0; i < l->n_slowest; i++) {
        const struct hakr_slow *s = &l->slowest[i];
        hakc_out_row(o);
        hakc_out_cell_str(o, label);
        hakc_out_cell_float(o, (double)s->ticks / 1e3);
        hakc_out_cell_str(o, hakr_kind_name(s->kind));
        hakc_out_cell_uint(o, s->size);
        hakc_out_cell_uint(o, s->thread);
        hakc_out_cell_uint(o, s->op);
    }
}

static void notes(struct hakc_out *o, const char *label, const struct hakr_latency *l) {
    char step[64] = "";
    if (l->step_ps > 0)
        snprintf(step, sizeof step, " in steps of %.2f ns", l->step_ps / 1e3);
    hakc_out_note(o,
                  "%s: clock of the latencies: %s%s. A measurement of nothing takes %.1f ns "
                  "(median); it is in all of them, not subtracted.",
                  label, l->tsc ? "the invariant time stamp counter" : "CLOCK_MONOTONIC", step,
                  l->stamp_ps / 1e3);
    if (l->backwards != 0)
        hakc_out_note(o,
                      "%s: the clock went backwards in %llu ops (counted as 0): the processors' "
                      "counters differ.",
                      label, (unsigned long long)l->backwards);
}

static void print(struct hakc_out *o, const struct hakr_experiment *e, struct hakr_latency **l,
                  int table, struct hakc_hist *h) {
    struct hakc_col by_op[COLS];
    size_t nv = e->variants->n;
    unsigned n = 0;
    for (unsigned i = 0; i < COLS; i++) /* without size classes */
        if (i != 2)
            by_op[n++] = cols[i];
    hakc_out_list(o, "latency", "Latency of single ops", by_op, n);
    for (size_t v = 0; v < nv; v++)
        if (l[v] != NULL)
            rows(o, e->variants->at[v].label, l[v], 1, h);
    hakc_out_list_end(o);
    if (!table) {
        hakc_out_list(o, "latency_by_size", NULL, cols, COLS);
        for (size_t v = 0; v < nv; v++)
            if (l[v] != NULL)
                class_rows(o, e->variants->at[v].label, l[v]);
        hakc_out_list_end(o);
    }
    hakc_out_list(o, "slowest", "Slowest ops", slow_cols, sizeof slow_cols / sizeof *slow_cols);
    for (size_t v = 0; v < nv; v++)
        if (l[v] != NULL)
            slowest(o, e->variants->at[v].label, l[v]);
    hakc_out_list_end(o);
    for (size_t v = 0; v < nv; v++)
        if (l[v] != NULL)
            notes(o, e->variants->at[v].label, l[v]);
}

void hakr_report_latency(struct hakc_out *o, const struct hakr_experiment *e, int table) {
    struct hakr_latency **l = calloc(e->variants->n + 1, sizeof(struct hakr_latency *));
    struct hakc_hist *h = malloc(sizeof *h);
    for (size_t v = 0; l != NULL && v < e->variants->n; v++)
        l[v] = merged(e, v);
    if (l != NULL && h != NULL)
        print(o, e, l, table, h);
    for (size_t v = 0; l != NULL && v < e->variants->n; v++)
        hakr_latency_free(l[v]);
    free(l);
    free(h);
}
