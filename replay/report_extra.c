/*
 * What stands beside the comparison: memory in parts and after the run, the processor's counters,
 * threads, samples.
 */
#include <errno.h>
#include <math.h>
#include <string.h>
#include "common/units.h"
#include "replay/report_int.h"

/* ---- memory -----------------------------------------------------------------------------------
 */

static void memory(struct hakc_out *o, const struct hakr_experiment *e, int table) {
    static const struct hakc_col cols[] = {
        {"allocator", "allocator", HAKC_COL_STR, 0},
        {"end_resident_bytes", "at end", HAKC_COL_BYTES, 0},
        {"rest_100ms_resident_bytes", "0.1 s on", HAKC_COL_BYTES, 0},
        {"rest_1s_resident_bytes", "1 s on", HAKC_COL_BYTES, 0},
        {"rest_5s_resident_bytes", "5 s on", HAKC_COL_BYTES, 0},
        {"peak_lazy_free_bytes", "lazy", HAKC_COL_BYTES, 0},
        {"peak_huge_bytes", "huge", HAKC_COL_BYTES, 0},
        {"baseline_resident_bytes", "before", HAKC_COL_BYTES, 0},
        {"mean_resident_time_bytes", "mean by time", HAKC_COL_BYTES, 0},
        {"driver_shared_bytes", "", HAKC_COL_BYTES, 0},
    };
    static const enum hakr_figure figures[] = {HAKR_F_END,      HAKR_F_REST_100MS, HAKR_F_REST_1S,
                                               HAKR_F_REST_5S,  HAKR_F_PEAK_LAZY,  HAKR_F_PEAK_HUGE,
                                               HAKR_F_BASELINE, HAKR_F_MEAN_TIME,  HAKR_F_SHARED};
    /* A table of 100 columns has no room for the last three: what is the harness's is a note. */
    const unsigned n = sizeof figures / sizeof *figures - (table ? 3 : 0);
    hakc_out_list(o, "memory", "Resident memory at the end of the run, after it, and in parts",
                  cols, n + 1);
    for (size_t v = 0; v < e->variants->n; v++) {
        if (hakr_first_ok(e, v, HAKR_PASS_ACCOUNT) == NULL)
            continue;
        hakc_out_row(o);
        hakc_out_cell_str(o, e->variants->at[v].label);
        for (unsigned i = 0; i < n; i++)
            hakr_cell_whole(o, hakr_figure_median(e, v, HAKR_PASS_ACCOUNT, figures[i]));
    }
    hakc_out_list_end(o);
}

/* What of the process's memory is the harness's own, and so in no figure. */
static void harness_note(struct hakc_out *o, const struct hakr_experiment *e) {
    char low[HAKC_UNIT_LEN], high[HAKC_UNIT_LEN], shared[HAKC_UNIT_LEN];
    double least = INFINITY, most = 0, tables = 0;
    for (size_t v = 0; v < e->variants->n; v++) {
        double before = hakr_figure_median(e, v, HAKR_PASS_ACCOUNT, HAKR_F_BASELINE);
        if (isnan(before))
            continue;
        least = fmin(least, before);
        most = fmax(most, before);
        tables = fmax(tables, hakr_figure_median(e, v, HAKR_PASS_ACCOUNT, HAKR_F_SHARED));
    }
    if (isfinite(least))
        hakc_out_note(o,
                      "Not in these figures: %s to %s of private memory that is there before a run "
                      "begins (program, libraries), and the driver's shared memory of %s.",
                      hakc_format_bytes(low, (uint64_t)least),
                      hakc_format_bytes(high, (uint64_t)most),
                      hakc_format_bytes(shared, (uint64_t)tables));
}

/* ---- counters ---------------------------------------------------------------------------------
 */

static void counters(struct hakc_out *o, const struct hakr_experiment *e) {
    struct hakc_col cols[HAKR_C_COUNT + 1] = {{"allocator", "allocator", HAKC_COL_STR, 0}};
    static const char *const titles[HAKR_C_COUNT] = {
        "cycles", "instr.", "cache miss", "dTLB miss", "br. miss", "faults", "switches", "moves"};
    unsigned missing = 0, scaled = 0;
    int why = 0;
    double ops = (double)e->plan->stats.ops;
    for (unsigned i = 0; i < HAKR_C_COUNT; i++)
        cols[i + 1] = (struct hakc_col){hakr_counter_name(i), titles[i], HAKC_COL_FLOAT, 3};
    hakc_out_list(o, "counters_per_op", "Processor's counters, per op", cols, HAKR_C_COUNT + 1);
    for (size_t v = 0; v < e->variants->n; v++) {
        const struct hakr_run *r = hakr_first_ok(e, v, HAKR_PASS_COUNTERS);
        if (r == NULL)
            continue;
        hakc_out_row(o);
        hakc_out_cell_str(o, e->variants->at[v].label);
        for (unsigned i = 0; i < HAKR_C_COUNT; i++) {
            const struct hakr_counted *c = &r->result.counters[i];
            scaled += c->scaled != 0;
            if (c->error == 0) {
                hakc_out_cell_float(o, (double)c->value / ops);
                continue;
            }
            hakc_out_cell_null(o);
            missing++;
            why = c->error;
        }
    }
    hakc_out_list_end(o);
    if (missing != 0)
        hakc_out_note(o, "Counters without a figure are not available on this machine (%s).",
                      strerror(why));
    if (scaled != 0)
        hakc_out_note(o, "%u counters shared the hardware with others: scaled up, estimates.",
                      scaled);
}

/* ---- threads, for JSON and CSV ----------------------------------------------------------------
 */

static void threads(struct hakc_out *o, const struct hakr_experiment *e, enum hakr_pass pass) {
    for (size_t v = 0; v < e->variants->n; v++) {
        const struct hakr_run *r = hakr_first_ok(e, v, pass);
        for (uint32_t t = 0; r != NULL && t < r->result.n_threads; t++) {
            const struct hakr_thread_result *x = &r->result.threads[t];
            hakc_out_row(o);
            hakc_out_cell_str(o, e->variants->at[v].label);
            hakc_out_cell_str(o, hakr_pass_name(pass));
            hakc_out_cell_uint(o, t);
            hakc_out_cell_uint(o, x->ops);
            hakc_out_cell_uint(o, x->minflt);
            hakc_out_cell_uint(o, x->majflt);
            if (pass == HAKR_PASS_ACCOUNT)
                hakc_out_cell_uint(o, x->calls);
            else
                hakc_out_cell_null(o);
            hakc_out_cell_uint(o, x->blocked);
            hakc_out_cell_uint(o, x->end_ns);
        }
    }
}

static void samples(struct hakc_out *o, const struct hakr_experiment *e) {
    static const struct hakc_col cols[] = {
        {"allocator", "", HAKC_COL_STR, 0},         {"op", "", HAKC_COL_INT, 0},
        {"time_ns", "", HAKC_COL_INT, 0},           {"recorded_ns", "", HAKC_COL_INT, 0},
        {"resident_bytes", "", HAKC_COL_BYTES, 0},  {"live_bytes", "", HAKC_COL_BYTES, 0},
        {"lazy_free_bytes", "", HAKC_COL_BYTES, 0}, {"huge_bytes", "", HAKC_COL_BYTES, 0},
    };
    hakc_out_list(o, "samples", NULL, cols, sizeof cols / sizeof *cols);
    for (size_t v = 0; v < e->variants->n; v++) {
        const struct hakr_run *r = hakr_first_ok(e, v, HAKR_PASS_ACCOUNT);
        for (uint32_t i = 0; r != NULL && i < r->result.n_samples; i++) {
            const struct hakr_sample *s = &r->result.samples[i];
            hakc_out_row(o);
            hakc_out_cell_str(o, e->variants->at[v].label);
            hakc_out_cell_uint(o, s->op);
            hakc_out_cell_uint(o, s->time_ns);
            hakc_out_cell_uint(o, s->recorded_ns);
            hakc_out_cell_uint(o, s->resident);
            hakc_out_cell_uint(o, s->live);
            hakr_cell_whole(o, s->lazy == UINT64_MAX ? NAN : (double)s->lazy);
            hakr_cell_whole(o, s->huge == UINT64_MAX ? NAN : (double)s->huge);
        }
    }
    hakc_out_list_end(o);
}

void hakr_report_extra(struct hakc_out *o, const struct hakr_experiment *e, int table) {
    static const struct hakc_col cols[] = {
        {"allocator", "", HAKC_COL_STR, 0},    {"pass", "", HAKC_COL_STR, 0},
        {"thread", "", HAKC_COL_INT, 0},       {"ops", "", HAKC_COL_INT, 0},
        {"minor_faults", "", HAKC_COL_INT, 0}, {"major_faults", "", HAKC_COL_INT, 0},
        {"syscalls", "", HAKC_COL_INT, 0},     {"blocked_waits", "", HAKC_COL_INT, 0},
        {"end_ns", "", HAKC_COL_INT, 0},
    };
    if (e->repeats[HAKR_PASS_ACCOUNT] != 0)
        memory(o, e, table);
    if (e->repeats[HAKR_PASS_ACCOUNT] != 0)
        harness_note(o, e);
    if (e->repeats[HAKR_PASS_COUNTERS] != 0)
        counters(o, e);
    if (!table) {
        hakc_out_list(o, "threads", NULL, cols, sizeof cols / sizeof *cols);
        threads(o, e, HAKR_PASS_TIME);
        threads(o, e, HAKR_PASS_ACCOUNT);
        hakc_out_list_end(o);
        samples(o, e);
    }
}
