#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include "replay/report_int.h"

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
    {"place", "thread:op", HAKC_COL_STR, 0}, /* in a table; the next two in data */
    {"thread", "", HAKC_COL_INT, 0},
    {"index", "", HAKC_COL_INT, 0},
    {"minor_faults", "faults", HAKC_COL_INT, 0},
    {"major_faults", "", HAKC_COL_INT, 0},
    {"syscalls", "", HAKC_COL_INT, 0},
    {"syscall_ns", "in calls", HAKC_COL_DURATION, 0},
    {"calls", "calls inside", HAKC_COL_STR, 0},
};
#define SLOW_PLACE 4
#define SLOW_COLS  (sizeof slow_cols / sizeof *slow_cols)

static const struct hakc_col slow_call_cols[] = {
    {"allocator", "", HAKC_COL_STR, 0}, {"thread", "", HAKC_COL_INT, 0},
    {"index", "", HAKC_COL_INT, 0},     {"call", "", HAKC_COL_STR, 0},
    {"detail", "", HAKC_COL_STR, 0},    {"calls", "", HAKC_COL_INT, 0},
    {"errors", "", HAKC_COL_INT, 0},    {"bytes", "", HAKC_COL_BYTES, 0},
    {"kernel_ns", "", HAKC_COL_INT, 0},
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

/* What the inside pass saw of a slow op; NULL if it was not looked into. */
static const struct hakr_inside *inside_of(const struct hakr_result *r, const struct hakr_slow *s) {
    for (uint32_t i = 0; r != NULL && i < r->n_inside; i++)
        if (r->inside[i].slow.thread == s->thread && r->inside[i].slow.op == s->op &&
            r->inside[i].done)
            return &r->inside[i];
    return NULL;
}

/* "2 mmap, munmap, MADV_DONTNEED": calls without their kinds, but advice. */
static void say_calls(const struct hakr_inside *in, char *text, size_t len) {
    size_t n = 0;
    text[0] = '\0';
    for (unsigned k = 0; k < HAKR_SYS_COUNT && n < len;) {
        const char *name = hakr_sys_short_name(k);
        uint64_t calls = 0;
        for (; k < HAKR_SYS_COUNT && strcmp(hakr_sys_short_name(k), name) == 0; k++)
            calls += in->calls[k].calls;
        if (calls > 1)
            n +=
                (size_t)snprintf(text + n, len - n, "%s%" PRIu64 " %s", n ? ", " : "", calls, name);
        else if (calls == 1)
            n += (size_t)snprintf(text + n, len - n, "%s%s", n ? ", " : "", name);
    }
    if (n == 0)
        snprintf(text, len, "none");
}

static void inside_cells(struct hakc_out *o, const struct hakr_result *r,
                         const struct hakr_inside *in, int table) {
    char text[512];
    if (in == NULL)
        return; /* the rest is not known */
    hakc_out_cell_uint(o, in->minflt + (table ? in->majflt : 0));
    if (!table)
        hakc_out_cell_uint(o, in->majflt);
    if (!r->counted)
        return;
    struct hakr_sys_total sum = hakr_inside_sum(in);
    if (!table)
        hakc_out_cell_uint(o, sum.calls);
    hakc_out_cell_uint(o, sum.kernel_ns);
    say_calls(in, text, sizeof text);
    hakc_out_cell_str(o, text);
}

static void slowest(struct hakc_out *o, const char *label, const struct hakr_latency *l,
                    const struct hakr_result *r, int table) {
    char place[48];
    for (uint32_t i = 0; i < l->n_slowest; i++) {
        const struct hakr_slow *s = &l->slowest[i];
        hakc_out_row(o);
        hakc_out_cell_str(o, label);
        hakc_out_cell_float(o, (double)s->ticks / 1e3);
        hakc_out_cell_str(o, hakr_kind_name(s->kind));
        hakc_out_cell_uint(o, s->size);
        if (table) {
            snprintf(place, sizeof place, "%" PRIu32 ":%" PRIu64, s->thread, s->op);
            hakc_out_cell_str(o, place);
        } else {
            hakc_out_cell_uint(o, s->thread);
            hakc_out_cell_uint(o, s->op);
        }
        inside_cells(o, r, inside_of(r, s), table);
    }
}

static void slowest_calls(struct hakc_out *o, const char *label, const struct hakr_result *r) {
    for (uint32_t i = 0; r != NULL && r->counted && i < r->n_inside; i++)
        for (unsigned k = 0; k < HAKR_SYS_COUNT; k++) {
            const struct hakr_sys_total *t = &r->inside[i].calls[k];
            if (t->calls == 0)
                continue;
            hakc_out_row(o);
            hakc_out_cell_str(o, label);
            hakc_out_cell_uint(o, r->inside[i].slow.thread);
            hakc_out_cell_uint(o, r->inside[i].slow.op);
            hakc_out_cell_str(o, hakr_sys_call(k));
            hakc_out_cell_str(o, hakr_sys_detail(k));
            hakc_out_cell_uint(o, t->calls);
            hakc_out_cell_uint(o, t->errors);
            hakc_out_cell_uint(o, t->bytes);
            hakc_out_cell_uint(o, t->kernel_ns);
        }
}

/* The slowest ops of all variants, with what the inside pass saw in them. */
static void print_slowest(struct hakc_out *o, const struct hakr_experiment *e,
                          struct hakr_latency **l, int table) {
    struct hakc_col shown[SLOW_COLS];
    size_t nv = e->variants->n;
    unsigned n = 0;
    for (unsigned i = 0; i < SLOW_COLS; i++)
        if (table ? slow_cols[i].title[0] != '\0' : i != SLOW_PLACE)
            shown[n++] = slow_cols[i];
    hakc_out_list(o, "slowest", "Slowest ops", shown, n);
    for (size_t v = 0; v < nv; v++) {
        const struct hakr_run *r = hakr_first_ok(e, v, HAKR_PASS_INSIDE);
        if (l[v] != NULL)
            slowest(o, e->variants->at[v].label, l[v], r != NULL ? &r->result : NULL, table);
    }
    hakc_out_list_end(o);
    if (!table) {
        hakc_out_list(o, "slowest_calls", NULL, slow_call_cols,
                      sizeof slow_call_cols / sizeof *slow_call_cols);
        for (size_t v = 0; v < nv; v++) {
            const struct hakr_run *r = hakr_first_ok(e, v, HAKR_PASS_INSIDE);
            if (r != NULL)
                slowest_calls(o, e->variants->at[v].label, &r->result);
        }
        hakc_out_list_end(o);
    }
    if (e->slowest != 0)
        hakc_out_note(o, "Faults and calls inside the slowest ops: of the same ops (thread and "
                         "index) in a run of "
                         "their own, which counts; the latency pass only takes the time.");
}

/* The clocks of all variants differ little: one sentence. */
static void clock_note(struct hakc_out *o, const struct hakr_experiment *e,
                       struct hakr_latency **l) {
    double least = INFINITY, most = 0, step = 0;
    const struct hakr_latency *any = NULL;
    for (size_t v = 0; v < e->variants->n; v++) {
        if (l[v] == NULL)
            continue;
        any = l[v];
        least = fmin(least, l[v]->stamp_ps / 1e3);
        most = fmax(most, l[v]->stamp_ps / 1e3);
        step = fmax(step, l[v]->step_ps / 1e3);
    }
    if (any == NULL)
        return;
    hakc_out_note(
        o,
        "Clock of the latencies: %s%s%s, in steps of %.2f ns. A measurement of nothing takes "
        "%.1f to %.1f ns (medians); it is in all of them, not subtracted.",
        any->tsc ? "the invariant time stamp counter" : "CLOCK_MONOTONIC",
        e->tsc_why[0] != '\0' ? ", " : "", e->tsc_why, step, least, most);
}

static void backwards_note(struct hakc_out *o, const char *label, const struct hakr_latency *l) {
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
    if (!table)
        hakc_out_str(o, "latency_clock", NULL, e->tsc ? "tsc" : "monotonic");
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
    print_slowest(o, e, l, table);
    clock_note(o, e, l);
    for (size_t v = 0; v < nv; v++)
        if (l[v] != NULL)
            backwards_note(o, e->variants->at[v].label, l[v]);
}

void hakr_report_latency(struct hakc_out *o, const struct hakr_experiment *e, int table) {
    struct hakr_latency **l = calloc(e->variants->n + 1, sizeof(struct hakr_latency *));
    struct hakc_hist *h = malloc(sizeof *h);
    for (size_t v = 0; l != NULL && v < e->variants->n; v++)
        l[v] = hakr_latency_of(e, v);
    if (l != NULL && h != NULL)
        print(o, e, l, table, h);
    for (size_t v = 0; l != NULL && v < e->variants->n; v++)
        hakr_latency_free(l[v]);
    free(l);
    free(h);
}
