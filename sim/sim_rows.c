/* Evaluating rows: the events mode on all cores, the full mode one child after another. */
#include <stdlib.h>
#include <time.h>

#include "sim/oracle.h"
#include "sim/parallel.h"
#include "sim/sim_rows.h"

static uint64_t clock_ns(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

struct haks_row *haks_rows_new(const struct hakp_spec *specs, size_t n, const char *mode) {
    struct haks_row *rows = calloc(n > 0 ? n : 1, sizeof *rows);
    for (size_t i = 0; rows != NULL && i < n; i++) {
        rows[i].spec = specs[i];
        rows[i].mode = mode;
        rows[i].least_ns = HAKS_UNKNOWN;
        hakp_format(&specs[i], rows[i].policy, sizeof rows[i].policy);
    }
    return rows;
}

struct work {
    struct haks_row *rows;
    const struct haks_stream *stream;
    const struct haks_pass *pass;
    const struct haks_costs *costs;
};

static void evaluate(void *ctx, size_t i) {
    const struct work *w = ctx;
    struct haks_row *row = &w->rows[i];
    uint64_t start = clock_ns();
    if (row->done)
        return;
    row->rc = haks_evaluate(w->stream, w->pass, w->costs, &row->spec, &row->f, &row->err);
    row->sim_ns = clock_ns() - start;
    row->done = 1;
}

uint64_t haks_rows_evaluate(struct haks_row *rows, size_t n, const struct haks_stream *stream,
                            const struct haks_pass *pass, const struct haks_costs *costs,
                            unsigned jobs, const volatile int *stop) {
    struct work w = {rows, stream, pass, costs};
    uint64_t start = clock_ns();
    haks_parallel(n, jobs, stop, evaluate, &w, NULL, NULL);
    return clock_ns() - start;
}

static void run_full(struct haks_row *row, const char *trace, const struct haks_costs *costs,
                     struct haks_pass *run, const volatile int *stop) {
    uint64_t began = clock_ns();
    row->err = (struct hakc_err){0};
    row->rc = haks_full_run(trace, costs, &row->spec, run, stop, &row->err);
    row->sim_ns = clock_ns() - began;
    row->done = !*stop;
    if (row->rc == 0)
        row->f = run->figures;
}

uint64_t haks_rows_full(struct haks_row *rows, size_t n, const char *trace, struct haks_pass *pass,
                        const struct haks_costs *costs, const volatile int *stop) {
    uint64_t start = clock_ns();
    for (size_t i = 0; i < n && !*stop; i++) {
        struct haks_pass run;
        if (rows[i].done)
            continue;
        run_full(&rows[i], trace, costs, &run, stop);
        if (rows[i].rc == 0)
            *pass = run;
    }
    return clock_ns() - start;
}

uint64_t haks_rows_fall_back(struct haks_row *rows, size_t n, const char *trace,
                             const struct haks_costs *costs, const volatile int *stop) {
    uint64_t start = clock_ns();
    for (size_t i = 0; i < n && !*stop; i++) {
        struct haks_pass run;
        if (!rows[i].done || rows[i].rc != HAKC_EREFUSED)
            continue;
        rows[i].mode = "full";
        rows[i].fell_back = 1;
        run_full(&rows[i], trace, costs, &run, stop);
    }
    return clock_ns() - start;
}

int haks_row_comparable(const struct haks_row *r) {
    return r->done && r->rc == 0 && r->mode[0] == 'e' && r->f.calls[HAKS_POPULATE] == 0 &&
           r->f.calls[HAKS_HUGE] == 0;
}

int haks_rows_ask_oracle(struct haks_row *rows, size_t n, const struct haks_stream *stream,
                         const struct haks_pass *pass, const struct haks_costs *costs,
                         struct hakc_err *err) {
    struct haks_oracle *o;
    int rc = haks_oracle_new(&o, stream, pass, costs, HAKS_BY_OPS, err);
    for (size_t i = 0; rc == 0 && i < n; i++)
        if (haks_row_comparable(&rows[i]))
            rows[i].least_ns = haks_oracle_mean_bound(o, rows[i].f.mean_resident_bytes);
    if (rc == 0)
        haks_oracle_free(o);
    return rc;
}
