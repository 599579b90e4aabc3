/* The comparison of the variants, and their system calls. */
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include "replay/report_int.h"

/* ---- the comparison ---------------------------------------------------------------------------
 */

static const struct hakc_col table_cols[] = {
    {"allocator", "allocator", HAKC_COL_STR, 0},
    {"ns_per_op", "ns/op", HAKC_COL_FLOAT, 2},
    {"ci_low", "from", HAKC_COL_FLOAT, 2},
    {"ci_high", "to", HAKC_COL_FLOAT, 2},
    {"ratio", "ratio", HAKC_COL_STR, 0},
    {"peak_resident_bytes", "peak", HAKC_COL_BYTES, 0},
    {"mean_resident_bytes", "mean", HAKC_COL_BYTES, 0},
    {"overhead", "overhead", HAKC_COL_FLOAT, 2},
    {"minor_faults", "faults", HAKC_COL_INT, 0},
    {"syscalls", "calls", HAKC_COL_INT, 0},
};

static const struct hakc_col data_cols[] = {
    {"allocator", "", HAKC_COL_STR, 0},
    {"policy", "", HAKC_COL_STR, 0},
    {"library", "", HAKC_COL_STR, 0},
    {"build_id", "", HAKC_COL_STR, 0},
    {"library_version", "", HAKC_COL_STR, 0},
    {"role", "", HAKC_COL_STR, 0},
    {"status", "", HAKC_COL_STR, 0},
    {"error", "", HAKC_COL_STR, 0},
    {"repeats", "", HAKC_COL_INT, 0},
    {"ns_per_op", "", HAKC_COL_FLOAT, 2},
    {"ns_per_op_low", "", HAKC_COL_FLOAT, 2},
    {"ns_per_op_high", "", HAKC_COL_FLOAT, 2},
    {"interval_coverage", "", HAKC_COL_FLOAT, 2},
    {"ratio", "", HAKC_COL_FLOAT, 3},
    {"p_value", "", HAKC_COL_FLOAT, 4},
    {"wall_ns", "", HAKC_COL_DURATION, 0},
    {"cpu_user_ns", "", HAKC_COL_DURATION, 0},
    {"cpu_system_ns", "", HAKC_COL_DURATION, 0},
    {"minor_faults", "", HAKC_COL_INT, 0},
    {"major_faults", "", HAKC_COL_INT, 0},
    {"blocked_waits", "", HAKC_COL_INT, 0},
    {"failed_allocations", "", HAKC_COL_INT, 0},
    {"drift_waits", "", HAKC_COL_INT, 0},
    {"waited_share", "", HAKC_COL_FLOAT, 4},
    {"lag_p50_ns", "", HAKC_COL_DURATION, 0},
    {"lag_p99_ns", "", HAKC_COL_DURATION, 0},
    {"peak_resident_bytes", "", HAKC_COL_BYTES, 0},
    {"mean_resident_bytes", "", HAKC_COL_BYTES, 0},
    {"end_resident_bytes", "", HAKC_COL_BYTES, 0},
    {"end_lazy_free_bytes", "", HAKC_COL_BYTES, 0},
    {"peak_live_bytes", "", HAKC_COL_BYTES, 0},
    {"mean_live_bytes", "", HAKC_COL_BYTES, 0},
    {"overhead", "", HAKC_COL_FLOAT, 3},
    {"syscalls", "", HAKC_COL_INT, 0},
    {"syscall_ns", "", HAKC_COL_DURATION, 0},
    {"release_calls", "", HAKC_COL_INT, 0},
    {"counting", "", HAKC_COL_STR, 0},
};

struct compared {
    int has; /* there is a ratio */
    double ratio, p;
};

static struct compared compare(const struct hakr_timing *t, const struct hakr_timing *ref) {
    struct compared c = {.p = 1};
    struct hakc_rank_result rank;
    if (t->n == 0 || ref->n == 0 || ref->sum.median <= 0)
        return c;
    c.has = 1;
    c.ratio = t->sum.median / ref->sum.median;
    if (t != ref && hakc_rank_test(t->v, t->n, ref->v, ref->n, &rank) == 0)
        c.p = rank.p;
    return c;
}

/* "1.00" for the reference, "0.87", or "~0.99" where the test does not tell them apart. */
static void cell_ratio(struct hakc_out *o, struct compared c, int is_reference) {
    char text[32];
    if (!c.has) {
        hakc_out_cell_null(o);
        return;
    }
    snprintf(text, sizeof text, "%s%.2f", !is_reference && c.p >= HAKR_SIGNIFICANT ? "~" : "",
             c.ratio);
    hakc_out_cell_str(o, text);
}

static void table_row(struct hakc_out *o, const struct hakr_experiment *e, size_t v,
                      const struct hakr_timing *t, struct compared c, int is_reference) {
    const struct hakr_variant *a = &e->variants->at[v];
    const enum hakr_pass account = HAKR_PASS_ACCOUNT;
    enum hakr_pass faults = e->repeats[HAKR_PASS_TIME] != 0 ? HAKR_PASS_TIME : HAKR_PASS_ACCOUNT;
    hakc_out_row(o);
    hakc_out_cell_str(o, a->label);
    hakr_cell_float(o, t->n != 0 ? t->sum.median : NAN);
    hakr_cell_float(o, t->n > 1 ? t->sum.ci_low : NAN);
    hakr_cell_float(o, t->n > 1 ? t->sum.ci_high : NAN);
    cell_ratio(o, c, is_reference);
    hakr_cell_whole(o, hakr_figure_median(e, v, account, HAKR_F_PEAK));
    hakr_cell_whole(o, hakr_figure_median(e, v, account, HAKR_F_MEAN));
    hakr_cell_float(o, hakr_figure_median(e, v, account, HAKR_F_OVERHEAD));
    hakr_cell_whole(o, hakr_figure_median(e, v, faults, HAKR_F_MINFLT));
    hakr_cell_whole(o, hakr_figure_median(e, v, account, HAKR_F_SYSCALLS));
}

static void data_row(struct hakc_out *o, const struct hakr_experiment *e, size_t v,
                     const struct hakr_timing *t, struct compared c) {
    static const enum hakr_figure time_figures[] = {HAKR_F_WALL_NS, HAKR_F_USER_NS, HAKR_F_SYS_NS,
                                                    HAKR_F_MINFLT,  HAKR_F_MAJFLT,  HAKR_F_BLOCKED,
                                                    HAKR_F_FAILED};
    static const enum hakr_figure account_figures[] = {
        HAKR_F_PEAK, HAKR_F_MEAN, HAKR_F_END, HAKR_F_LAZY, HAKR_F_PEAK_LIVE, HAKR_F_MEAN_LIVE};
    const struct hakr_variant *a = &e->variants->at[v];
    const struct hakr_run *run = hakr_any_run(e, v),
                          *bad = hakr_experiment_failure(e, v, HAKR_PASS_COUNT);
    hakc_out_row(o);
    hakc_out_cell_str(o, a->name);
    hakc_out_cell_str(o, hakr_policy_of(a, run));
    hakc_out_cell_str(o, run != NULL ? run->result.lib_path : NULL);
    hakc_out_cell_str(o, run != NULL && run->result.build_id[0] ? run->result.build_id : NULL);
    hakc_out_cell_str(o, a->version);
    hakc_out_cell_str(o, a->control ? "control" : "variant");
    hakc_out_cell_str(o, run == NULL ? "not run" : hakr_status_name(run->result.status));
    hakc_out_cell_str(o, bad != NULL ? bad->result.error : NULL);
    hakc_out_cell_uint(o, t->n);
    hakr_cell_float(o, t->n != 0 ? t->sum.median : NAN);
    hakr_cell_float(o, t->n > 1 ? t->sum.ci_low : NAN);
    hakr_cell_float(o, t->n > 1 ? t->sum.ci_high : NAN);
    hakr_cell_float(o, t->n > 1 ? t->sum.ci_coverage : NAN);
    hakr_cell_float(o, c.has ? c.ratio : NAN);
    hakr_cell_float(o, c.has ? c.p : NAN);
    for (size_t i = 0; i < sizeof time_figures / sizeof *time_figures; i++)
        hakr_cell_whole(o, hakr_figure_median(e, v, HAKR_PASS_TIME, time_figures[i]));
    hakr_cell_whole(o, hakr_figure_median(e, v, HAKR_PASS_TIME, HAKR_F_HELD_BACK));
    hakr_cell_float(o, hakr_figure_median(e, v, HAKR_PASS_TIME, HAKR_F_PACED));
    hakr_cell_whole(o, hakr_figure_median(e, v, HAKR_PASS_TIME, HAKR_F_LAG_MEDIAN));
    hakr_cell_whole(o, hakr_figure_median(e, v, HAKR_PASS_TIME, HAKR_F_LAG_P99));
    for (size_t i = 0; i < sizeof account_figures / sizeof *account_figures; i++)
        hakr_cell_whole(o, hakr_figure_median(e, v, HAKR_PASS_ACCOUNT, account_figures[i]));
    hakr_cell_float(o, hakr_figure_median(e, v, HAKR_PASS_ACCOUNT, HAKR_F_OVERHEAD));
    double calls = hakr_figure_median(e, v, HAKR_PASS_ACCOUNT, HAKR_F_SYSCALLS);
    hakr_cell_whole(o, calls);
    hakr_cell_whole(o, hakr_figure_median(e, v, HAKR_PASS_ACCOUNT, HAKR_F_SYSCALL_NS));
    hakr_cell_whole(o, hakr_figure_median(e, v, HAKR_PASS_ACCOUNT, HAKR_F_RELEASES));
    hakc_out_cell_str(o, isnan(calls) ? NULL : hakr_counting_name(hakr_counting_of(e, v)));
}

void hakr_report_comparison(struct hakc_out *o, const struct hakr_experiment *e, int table) {
    size_t ref = e->baseline, nv = e->variants->n;
    struct hakr_timing *t = calloc(nv + 1, sizeof *t);
    if (t == NULL)
        return;
    for (size_t v = 0; v < nv; v++)
        hakr_timing_of(e, v, &t[v]);
    if (table)
        hakc_out_list(o, "results", NULL, table_cols, sizeof table_cols / sizeof *table_cols);
    else
        hakc_out_list(o, "results", NULL, data_cols, sizeof data_cols / sizeof *data_cols);
    for (size_t v = 0; v < nv; v++) {
        struct compared c = compare(&t[v], &t[ref]);
        if (e->variants->at[v].control || hakr_failed_unlike(e, v, ref, HAKR_PASS_TIME))
            c.has = 0;
        if (!table)
            data_row(o, e, v, &t[v], c);
        else if (!e->variants->at[v].control)
            table_row(o, e, v, &t[v], c, v == ref);
    }
    hakc_out_list_end(o);
    for (size_t v = 0; v < nv; v++)
        free(t[v].v);
    free(t);
}

/* ---- system calls -----------------------------------------------------------------------------
 */

/* The medians over the account runs of one class of calls. 0 if none was made. */
static int class_medians(const struct hakr_experiment *e, size_t v, unsigned k,
                         struct hakr_sys_total *m) {
    double *x = malloc((e->n_runs + 1) * 4 * sizeof *x);
    size_t n = 0, stride = e->n_runs + 1;
    uint64_t *out[4] = {&m->calls, &m->errors, &m->bytes, &m->kernel_ns};
    for (size_t i = 0; x != NULL && i < e->n_runs; i++) {
        const struct hakr_run *r = &e->runs[i];
        if (r->variant != v || r->pass != HAKR_PASS_ACCOUNT || r->result.status != HAKR_OK ||
            !r->result.counted)
            continue;
        const struct hakr_sys_total *t = &r->result.totals[k];
        x[n] = (double)t->calls;
        x[stride + n] = (double)t->errors;
        x[2 * stride + n] = (double)t->bytes;
        x[3 * stride + n++] = (double)t->kernel_ns;
    }
    for (unsigned i = 0; i < 4 && n != 0; i++) {
        hakc_sort(x + i * stride, n);
        *out[i] = (uint64_t)(hakc_median(x + i * stride, n) + 0.5);
    }
    free(x);
    return n != 0 && m->calls != 0;
}

void hakr_report_syscalls(struct hakc_out *o, const struct hakr_experiment *e) {
    static const struct hakc_col cols[] = {
        {"allocator", "allocator", HAKC_COL_STR, 0},     {"call", "call", HAKC_COL_STR, 0},
        {"detail", "advice or kind", HAKC_COL_STR, 0},   {"calls", "calls", HAKC_COL_INT, 0},
        {"errors", "errors", HAKC_COL_INT, 0},           {"bytes", "bytes", HAKC_COL_BYTES, 0},
        {"kernel_ns", "in calls", HAKC_COL_DURATION, 0},
    };
    hakc_out_list(o, "syscalls", "Memory system calls", cols, sizeof cols / sizeof *cols);
    for (size_t v = 0; v < e->variants->n; v++) {
        if (hakr_experiment_failure(e, v, HAKR_PASS_ACCOUNT) != NULL)
            continue;
        for (unsigned k = 0; k < HAKR_SYS_COUNT; k++) {
            struct hakr_sys_total m = {0};
            if (!class_medians(e, v, k, &m))
                continue;
            hakc_out_row(o);
            hakc_out_cell_str(o, e->variants->at[v].label);
            hakc_out_cell_str(o, hakr_sys_call(k));
            hakc_out_cell_str(o, hakr_sys_detail(k));
            hakc_out_cell_uint(o, m.calls);
            hakc_out_cell_uint(o, m.errors);
            hakc_out_cell_uint(o, m.bytes);
            hakc_out_cell_uint(o, m.kernel_ns);
        }
    }
    hakc_out_list_end(o);
}
