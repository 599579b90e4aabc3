/*
 * What stands beside the comparison: memory in parts and after the run, the processor's counters,
 * threads, recorded times, the check.
 */
#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include "common/stats.h"
#include "common/units.h"
#include "replay/report.h"
#include "replay/run_figures.h"

#define SPREAD 1.25 /* of the slowest run to the median: told from there on */

static const struct hakr_run *first_ok(const struct hakr_experiment *e, size_t v,
                                       enum hakr_pass pass) {
    if (hakr_experiment_failure(e, v, pass) != NULL)
        return NULL;
    for (size_t i = 0; i < e->n_runs; i++)
        if (e->runs[i].variant == v && e->runs[i].pass == pass)
            return &e->runs[i];
    return NULL;
}

static void cell_bytes(struct hakc_out *o, double v) {
    if (isnan(v))
        hakc_out_cell_null(o);
    else
        hakc_out_cell_uint(o, (uint64_t)(v + 0.5));
}

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
    };
    static const enum hakr_figure figures[] = {HAKR_F_END,      HAKR_F_REST_100MS, HAKR_F_REST_1S,
                                               HAKR_F_REST_5S,  HAKR_F_PEAK_LAZY,  HAKR_F_PEAK_HUGE,
                                               HAKR_F_BASELINE, HAKR_F_MEAN_TIME};
    /* A table of 100 columns has no room for the last two. */
    const unsigned n = sizeof figures / sizeof *figures - (table ? 2 : 0);
    hakc_out_list(o, "memory", "Resident memory at the end of the run, after it, and in parts",
                  cols, n + 1);
    for (size_t v = 0; v < e->variants->n; v++) {
        if (first_ok(e, v, HAKR_PASS_ACCOUNT) == NULL)
            continue;
        hakc_out_row(o);
        hakc_out_cell_str(o, e->variants->at[v].label);
        for (unsigned i = 0; i < n; i++)
            cell_bytes(o, hakr_figure_median(e, v, HAKR_PASS_ACCOUNT, figures[i]));
    }
    hakc_out_list_end(o);
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
        const struct hakr_run *r = first_ok(e, v, HAKR_PASS_COUNTERS);
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
        const struct hakr_run *r = first_ok(e, v, pass);
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
        const struct hakr_run *r = first_ok(e, v, HAKR_PASS_ACCOUNT);
        for (uint32_t i = 0; r != NULL && i < r->result.n_samples; i++) {
            const struct hakr_sample *s = &r->result.samples[i];
            hakc_out_row(o);
            hakc_out_cell_str(o, e->variants->at[v].label);
            hakc_out_cell_uint(o, s->op);
            hakc_out_cell_uint(o, s->time_ns);
            hakc_out_cell_uint(o, s->recorded_ns);
            hakc_out_cell_uint(o, s->resident);
            hakc_out_cell_uint(o, s->live);
            cell_bytes(o, s->lazy == UINT64_MAX ? NAN : (double)s->lazy);
            cell_bytes(o, s->huge == UINT64_MAX ? NAN : (double)s->huge);
        }
    }
    hakc_out_list_end(o);
}

/* ---- notes ------------------------------------------------------------------------------------
 */

static void lag_note(struct hakc_out *o, const struct hakr_experiment *e, size_t v) {
    char median[HAKC_UNIT_LEN], p99[HAKC_UNIT_LEN], most[HAKC_UNIT_LEN];
    double x[4];
    static const enum hakr_figure f[4] = {HAKR_F_PACED, HAKR_F_LAG_MEDIAN, HAKR_F_LAG_P99,
                                          HAKR_F_LAG_MAX};
    for (unsigned i = 0; i < 4; i++)
        x[i] = hakr_figure_median(e, v, HAKR_PASS_TIME, f[i]);
    if (isnan(x[0]))
        return;
    hakc_out_note(
        o,
        "%s: %.1f %% of the ops came before their recorded time and waited; ops ran late "
        "by %s (median), %s (p99), %s (most).",
        e->variants->at[v].label, 100 * x[0], hakc_format_duration(median, (uint64_t)x[1]),
        hakc_format_duration(p99, (uint64_t)x[2]), hakc_format_duration(most, (uint64_t)x[3]));
}

/* Short experiments say nothing: the kernel counts in ticks. */
#define NOISE_LEAST_NS UINT64_C(500000000)

static void noise_notes(struct hakc_out *o, const struct hakr_experiment *e) {
    const struct hakr_noise *n = &e->noise;
    double others = hakr_noise_neighbours(n), stolen = hakr_noise_stolen(n);
    if (n->wall_ns >= NOISE_LEAST_NS && others >= 0.05)
        hakc_out_note(o,
                      "Noise: other programs used %.0f %% of the processors' time meanwhile: times "
                      "are of a shared machine.",
                      100 * others);
    if (n->wall_ns >= NOISE_LEAST_NS && stolen >= 0.01)
        hakc_out_note(o, "Noise: the hypervisor took %.0f %% of the processors' time.",
                      100 * stolen);
    if (n->throttled != 0 && n->throttled != UINT64_MAX)
        hakc_out_note(o, "Noise: processors were throttled %llu times.",
                      (unsigned long long)n->throttled);
    for (size_t v = 0; v < e->variants->n; v++) {
        size_t k;
        double *x = hakr_figures(e, v, HAKR_PASS_TIME, HAKR_F_NS_PER_OP, &k);
        if (k >= 3) {
            hakc_sort(x, k);
            if (x[k - 1] > SPREAD * hakc_median(x, k))
                hakc_out_note(
                    o,
                    "Noise: the slowest of %zu runs of %s took %.2f times its median; it is "
                    "kept.",
                    k, e->variants->at[v].label, x[k - 1] / hakc_median(x, k));
        }
        free(x);
    }
    if (e->too_wide)
        hakc_out_note(o, "--until=%g%%: not reached after %u runs of each variant.", 100 * e->until,
                      e->time_rounds);
}

static void check_note(struct hakc_out *o, const struct hakr_experiment *e, size_t v) {
    char bytes[HAKC_UNIT_LEN];
    const struct hakr_run *r = first_ok(e, v, HAKR_PASS_CHECK);
    if (r != NULL)
        hakc_out_note(o, "%s: check: %llu times a block's bytes were looked at (%s): none changed.",
                      e->variants->at[v].label, (unsigned long long)r->result.checked_blocks,
                      hakc_format_bytes(bytes, r->result.checked_bytes));
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
    if (e->repeats[HAKR_PASS_COUNTERS] != 0)
        counters(o, e);
    if (!table) {
        hakc_out_list(o, "threads", NULL, cols, sizeof cols / sizeof *cols);
        threads(o, e, HAKR_PASS_TIME);
        threads(o, e, HAKR_PASS_ACCOUNT);
        hakc_out_list_end(o);
        samples(o, e);
    }
    for (size_t v = 0; v < e->variants->n; v++)
        lag_note(o, e, v);
    noise_notes(o, e);
    for (size_t v = 0; v < e->variants->n && e->repeats[HAKR_PASS_CHECK] != 0; v++)
        check_note(o, e, v);
}
