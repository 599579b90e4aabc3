#include "replay/report.h"

#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include "common/stats.h"
#include "common/units.h"
#include "replay/limits.h"
#include "replay/run_figures.h"

#define CONFIDENCE   0.95
#define JSON_VERSION 1

static void cell_float(struct hakc_out *o, double v) {
    if (isnan(v))
        hakc_out_cell_null(o);
    else
        hakc_out_cell_float(o, v);
}

/* The policy asked for, else the one in force, else NULL. */
static const char *policy_of(const struct hakr_variant *v, const struct hakr_run *run) {
    if (v->policy != NULL || run == NULL || run->result.policy[0] == '\0')
        return v->policy;
    return run->result.policy;
}

/* For columns of whole numbers: a median may lie between two. */
static void cell_whole(struct hakc_out *o, double v) {
    if (isnan(v))
        hakc_out_cell_null(o);
    else
        hakc_out_cell_uint(o, (uint64_t)(v + 0.5));
}

/* ---- the comparison ---------------------------------------------------------------------------
 */

struct timing {
    size_t n;
    double *v;
    struct hakc_summary sum;
};

/* Times of a variant; none if one of its runs failed. */
static void timing_of(const struct hakr_experiment *e, size_t v, struct timing *t) {
    memset(t, 0, sizeof *t);
    t->v = hakr_figures(e, v, HAKR_PASS_TIME, HAKR_F_NS_PER_OP, &t->n);
    if (t->n != 0)
        hakc_summarise(t->v, t->n, CONFIDENCE, &t->sum);
}

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

static struct compared compare(const struct timing *t, const struct timing *ref) {
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
                      const struct timing *t, struct compared c, int is_reference) {
    const struct hakr_variant *a = &e->variants->at[v];
    const enum hakr_pass account = HAKR_PASS_ACCOUNT;
    enum hakr_pass faults = e->repeats[HAKR_PASS_TIME] != 0 ? HAKR_PASS_TIME : HAKR_PASS_ACCOUNT;
    hakc_out_row(o);
    hakc_out_cell_str(o, a->label);
    cell_float(o, t->n != 0 ? t->sum.median : NAN);
    cell_float(o, t->n > 1 ? t->sum.ci_low : NAN);
    cell_float(o, t->n > 1 ? t->sum.ci_high : NAN);
    cell_ratio(o, c, is_reference);
    cell_whole(o, hakr_figure_median(e, v, account, HAKR_F_PEAK));
    cell_whole(o, hakr_figure_median(e, v, account, HAKR_F_MEAN));
    cell_float(o, hakr_figure_median(e, v, account, HAKR_F_OVERHEAD));
    cell_whole(o, hakr_figure_median(e, v, faults, HAKR_F_MINFLT));
    cell_whole(o, hakr_figure_median(e, v, account, HAKR_F_SYSCALLS));
}

static const struct hakr_run *any_run(const struct hakr_experiment *e, size_t v) {
    const struct hakr_run *found = hakr_experiment_failure(e, v, HAKR_PASS_COUNT);
    for (size_t i = 0; found == NULL && i < e->n_runs; i++)
        if (e->runs[i].variant == v)
            found = &e->runs[i];
    return found;
}

static int counting_of(const struct hakr_experiment *e, size_t v) {
    for (size_t i = 0; i < e->n_runs; i++)
        if (e->runs[i].variant == v && e->runs[i].pass == HAKR_PASS_ACCOUNT)
            return e->runs[i].result.counted;
    return 0;
}

static void data_row(struct hakc_out *o, const struct hakr_experiment *e, size_t v,
                     const struct timing *t, struct compared c) {
    static const enum hakr_figure time_figures[] = {HAKR_F_WALL_NS, HAKR_F_USER_NS, HAKR_F_SYS_NS,
                                                    HAKR_F_MINFLT,  HAKR_F_MAJFLT,  HAKR_F_BLOCKED,
                                                    HAKR_F_FAILED};
    static const enum hakr_figure account_figures[] = {
        HAKR_F_PEAK, HAKR_F_MEAN, HAKR_F_END, HAKR_F_LAZY, HAKR_F_PEAK_LIVE, HAKR_F_MEAN_LIVE};
    const struct hakr_variant *a = &e->variants->at[v];
    const struct hakr_run *run = any_run(e, v),
                          *bad = hakr_experiment_failure(e, v, HAKR_PASS_COUNT);
    hakc_out_row(o);
    hakc_out_cell_str(o, a->name);
    hakc_out_cell_str(o, policy_of(a, run));
    hakc_out_cell_str(o, run != NULL ? run->result.lib_path : NULL);
    hakc_out_cell_str(o, run != NULL && run->result.build_id[0] ? run->result.build_id : NULL);
    hakc_out_cell_str(o, a->control ? "control" : "variant");
    hakc_out_cell_str(o, run == NULL ? "not run" : hakr_status_name(run->result.status));
    hakc_out_cell_str(o, bad != NULL ? bad->result.error : NULL);
    hakc_out_cell_uint(o, t->n);
    cell_float(o, t->n != 0 ? t->sum.median : NAN);
    cell_float(o, t->n > 1 ? t->sum.ci_low : NAN);
    cell_float(o, t->n > 1 ? t->sum.ci_high : NAN);
    cell_float(o, t->n > 1 ? t->sum.ci_coverage : NAN);
    cell_float(o, c.has ? c.ratio : NAN);
    cell_float(o, c.has ? c.p : NAN);
    for (size_t i = 0; i < sizeof time_figures / sizeof *time_figures; i++)
        cell_whole(o, hakr_figure_median(e, v, HAKR_PASS_TIME, time_figures[i]));
    cell_whole(o, hakr_figure_median(e, v, HAKR_PASS_TIME, HAKR_F_HELD_BACK));
    cell_float(o, hakr_figure_median(e, v, HAKR_PASS_TIME, HAKR_F_PACED));
    cell_whole(o, hakr_figure_median(e, v, HAKR_PASS_TIME, HAKR_F_LAG_MEDIAN));
    cell_whole(o, hakr_figure_median(e, v, HAKR_PASS_TIME, HAKR_F_LAG_P99));
    for (size_t i = 0; i < sizeof account_figures / sizeof *account_figures; i++)
        cell_whole(o, hakr_figure_median(e, v, HAKR_PASS_ACCOUNT, account_figures[i]));
    cell_float(o, hakr_figure_median(e, v, HAKR_PASS_ACCOUNT, HAKR_F_OVERHEAD));
    double calls = hakr_figure_median(e, v, HAKR_PASS_ACCOUNT, HAKR_F_SYSCALLS);
    cell_whole(o, calls);
    cell_whole(o, hakr_figure_median(e, v, HAKR_PASS_ACCOUNT, HAKR_F_SYSCALL_NS));
    cell_whole(o, hakr_figure_median(e, v, HAKR_PASS_ACCOUNT, HAKR_F_RELEASES));
    hakc_out_cell_str(o, isnan(calls) ? NULL : hakr_counting_name(counting_of(e, v)));
}

static void comparison(struct hakc_out *o, const struct hakr_experiment *e, int table) {
    size_t ref = e->baseline, nv = e->variants->n;
    struct timing *t = calloc(nv + 1, sizeof *t);
    if (t == NULL)
        return;
    for (size_t v = 0; v < nv; v++)
        timing_of(e, v, &t[v]);
    if (table)
        hakc_out_list(o, "results", NULL, table_cols, sizeof table_cols / sizeof *table_cols);
    else
        hakc_out_list(o, "results", NULL, data_cols, sizeof data_cols / sizeof *data_cols);
    for (size_t v = 0; v < nv; v++) {
        struct compared c = compare(&t[v], &t[ref]);
        if (e->variants->at[v].control)
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

static void syscalls(struct hakc_out *o, const struct hakr_experiment *e) {
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

/* ---- raw runs, for JSON and CSV ---------------------------------------------------------------
 */

static void raw_runs(struct hakc_out *o, const struct hakr_experiment *e) {
    static const struct hakc_col cols[] = {
        {"allocator", "", HAKC_COL_STR, 0},
        {"policy", "", HAKC_COL_STR, 0},
        {"pass", "", HAKC_COL_STR, 0},
        {"repeat", "", HAKC_COL_INT, 0},
        {"position", "", HAKC_COL_INT, 0},
        {"status", "", HAKC_COL_STR, 0},
        {"ns_per_op", "", HAKC_COL_FLOAT, 3},
        {"minor_faults", "", HAKC_COL_INT, 0},
        {"syscalls", "", HAKC_COL_INT, 0},
        {"peak_resident_bytes", "", HAKC_COL_BYTES, 0},
        {"failed_allocations", "", HAKC_COL_INT, 0},
        {"first_failed", "", HAKC_COL_STR, 0},
    };
    uint64_t ops = e->plan->stats.ops;
    hakc_out_list(o, "runs", NULL, cols, sizeof cols / sizeof *cols);
    for (size_t i = 0; i < e->n_runs; i++) {
        const struct hakr_run *r = &e->runs[i];
        const struct hakr_variant *v = &e->variants->at[r->variant];
        int timed = r->pass == HAKR_PASS_TIME;
        hakc_out_row(o);
        hakc_out_cell_str(o, v->name);
        hakc_out_cell_str(o, policy_of(v, r));
        hakc_out_cell_str(o, v->control ? "control" : hakr_pass_name(r->pass));
        hakc_out_cell_uint(o, r->repeat);
        hakc_out_cell_uint(o, r->position);
        hakc_out_cell_str(o, hakr_status_name(r->result.status));
        cell_float(o, timed ? hakr_figure(r, HAKR_F_NS_PER_OP, ops) : NAN);
        cell_whole(o, hakr_figure(r, HAKR_F_MINFLT, ops));
        cell_whole(o, hakr_figure(r, HAKR_F_SYSCALLS, ops));
        cell_whole(o, hakr_figure(r, HAKR_F_PEAK, ops));
        cell_whole(o, hakr_figure(r, HAKR_F_FAILED, ops));
        hakc_out_cell_str(o, r->result.first_failed[0] ? r->result.first_failed : NULL);
    }
    hakc_out_list_end(o);
}

/* ---- what is said beside the figures ----------------------------------------------------------
 */

static void trace_section(struct hakc_out *o, const struct hakr_report *r) {
    const struct hakr_plan_stats *s = &r->experiment->plan->stats;
    hakc_out_section(o, "trace", "Trace");
    hakc_out_str(o, "path", "file", r->trace_path);
    hakc_out_str(o, "sha256", "", r->sha256);
    hakc_out_str(o, "command", "command", r->info->command);
    hakc_out_uint(o, "ops", "ops", s->ops);
    hakc_out_uint(o, "threads", "threads", r->experiment->plan->n_threads);
    hakc_out_uint(o, "handed_over", "objects handed over", s->handed);
    hakc_out_uint(o, "waits", "", s->waits);
    hakc_out_uint(o, "turns", "", s->turns);
    hakc_out_uint(o, "plan_bytes", "", s->bytes);
    hakc_out_duration(o, "plan_ns", "", r->plan_ns);
    if (r->experiment->plan->drift == HAKR_NO_DRIFT)
        hakc_out_null(o, "drift_limit", "");
    else
        hakc_out_uint(o, "drift_limit", "", r->experiment->plan->drift);
    hakc_out_bytes(o, "peak_live_bytes", "peak live", s->peak_live);
    hakc_out_bytes(o, "mean_live_bytes", "", (uint64_t)s->mean_live);
    if (r->experiment->drift_passes != 0 && r->experiment->plan->drift != HAKR_NO_DRIFT)
        hakc_out_uint(o, "drift_kept", "ops that threads may drift apart",
                      r->experiment->plan->drift);
    hakc_out_uint(o, "skipped_foreign", "", s->skipped_foreign);
    hakc_out_uint(o, "skipped_failed", "", s->skipped_failed);
    hakc_out_uint(o, "fidelity", "", r->info->fidelity);
    hakc_out_section_end(o);
}

/* The driver's own cost, and its share of the quickest result. */
static void driver_cost(struct hakc_out *o, const struct hakr_experiment *e, int table) {
    double quickest = NAN, cost = NAN;
    for (size_t v = 0; v < e->variants->n; v++) {
        double m = hakr_figure_median(e, v, HAKR_PASS_TIME, HAKR_F_NS_PER_OP);
        if (e->variants->at[v].control)
            cost = m;
        else if (isnan(quickest) || m < quickest)
            quickest = m;
    }
    if (!table && isnan(cost))
        hakc_out_null(o, "driver_ns_per_op", NULL);
    else if (!table)
        hakc_out_float(o, "driver_ns_per_op", NULL, cost, 3);
    else if (!isnan(cost) && !isnan(quickest))
        hakc_out_note(
            o,
            "The driver itself costs %.2f ns/op (an allocator that does nothing); that is "
            "%.0f %% of the quickest result, and is in all of them.",
            cost, 100 * cost / quickest);
}

static void fidelity_notes(struct hakc_out *o, const struct hakr_report *r) {
    const struct hakr_plan_stats *s = &r->experiment->plan->stats;
    uint32_t f = r->info->fidelity;
    uint64_t dropped = r->totals->dropped;
    if (!(f & HAKT_HAS_THREADS))
        hakc_out_note(o, "The trace does not know threads: all ops run in one, so the result says "
                         "nothing about contention or frees across threads.");
    if (!(f & HAKT_EXACT_SIZES))
        hakc_out_note(o, "Sizes in the trace are not what the program asked for: resident memory "
                         "and overhead are of the rounded sizes.");
    if (!(f & HAKT_EXACT_IDS))
        hakc_out_note(o, "Frees in the trace are matched to allocations by guess: life times, and "
                         "with them resident memory, are approximate.");
    if (dropped != 0 && dropped != UINT64_MAX)
        hakc_out_note(o, "The recorder lost %" PRIu64 " ops: they are not in the replay.", dropped);
    if (r->rebuilt)
        hakc_out_note(o, "The trace has no trailer (its recording was cut short): what it holds "
                         "was replayed.");
    if (s->skipped_foreign + s->foreign_reallocs != 0)
        hakc_out_note(o,
                      "%" PRIu64 " frees of objects that the trace never saw allocated are left "
                      "out, %" PRIu64 " such reallocs are replayed as allocations.",
                      s->skipped_foreign, s->foreign_reallocs);
    if (s->skipped_failed != 0)
        hakc_out_note(o, "%" PRIu64 " allocations that failed when recorded are left out.",
                      s->skipped_failed);
}

/* Allocations that the allocator refused, from the first run that had any. */
static void failure_note(struct hakc_out *o, const struct hakr_experiment *e, size_t v) {
    for (size_t i = 0; i < e->n_runs; i++) {
        const struct hakr_result *r = &e->runs[i].result;
        if (e->runs[i].variant != v || r->failed == 0)
            continue;
        hakc_out_note(o, "%s: %" PRIu64 " allocations failed in the %s pass; the first: %s.",
                      e->variants->at[v].label, r->failed, hakr_pass_name(e->runs[i].pass),
                      r->first_failed);
        return;
    }
}

static void run_notes(struct hakc_out *o, const struct hakr_experiment *e) {
    size_t nv = e->variants->n;
    for (size_t v = 0; v < nv; v++) {
        const struct hakr_run *bad = hakr_experiment_failure(e, v, HAKR_PASS_COUNT),
                              *any = any_run(e, v);
        const char *label = e->variants->at[v].label;
        if (bad != NULL) {
            hakc_out_note(o, "%s: %s: %s", label, hakr_status_name(bad->result.status),
                          bad->result.error);
            continue;
        }
        if (any != NULL && any->result.substituted[0] != '\0')
            hakc_out_note(o, "%s has no %s: made from what it has.", label,
                          any->result.substituted);
        failure_note(o, e, v);
        for (size_t i = 0; i < e->n_runs; i++)
            if (e->runs[i].variant == v && e->runs[i].result.error[0] != '\0') {
                hakc_out_note(o, "%s: %s", label, e->runs[i].result.error);
                break;
            }
    }
}

static void limit_notes(struct hakc_out *o, const struct hakr_report *r) {
    const struct hakr_experiment *e = r->experiment;
    const char *base = e->variants->at[e->baseline].label;
    for (size_t i = 0; i < r->n_limits; i++) {
        const struct hakr_limit *l = &r->limits[i];
        for (size_t v = 0; v < e->variants->n; v++) {
            if (v == e->baseline || e->variants->at[v].control)
                continue;
            struct hakr_compared c = hakr_compare(e, v, e->baseline, l->pass, l->figure);
            const char *label = e->variants->at[v].label;
            if (!c.has)
                hakc_out_note(o, "%s=%g%%: %s could not be compared with %s.", l->word,
                              100 * l->share, label, base);
            else if (hakr_limit_broken(l, &c))
                hakc_out_note(o, "%s=%g%%: FAILED: %s is at %.3f of %s (p = %.2g).", l->word,
                              100 * l->share, label, c.ratio, base, c.p);
            else
                hakc_out_note(o, "%s=%g%%: held: %s is at %.3f of %s (p = %.2g%s).", l->word,
                              100 * l->share, label, c.ratio, base, c.p,
                              c.ratio > 1 + l->share ? ": not told apart" : "");
        }
    }
}

static void counting_note(struct hakc_out *o, const struct hakr_experiment *e) {
    for (size_t v = 0; v < e->variants->n; v++)
        if (counting_of(e, v) == HAKR_BY_PTRACE) {
            hakc_out_note(o,
                          "System calls were counted by ptrace%s: the counts are exact, the "
                          "times in calls hold the stops of the tracer.",
                          e->counting == 0 ? ", because seccomp is forbidden here" : "");
            return;
        }
}

static void statistics_notes(struct hakc_out *o, const struct hakr_experiment *e) {
    struct timing t;
    size_t ref = e->baseline;
    uint32_t n = e->repeats[HAKR_PASS_TIME];
    if (n == 0)
        return;
    timing_of(e, ref, &t);
    if (t.n > 1)
        hakc_out_note(o,
                      "ns/op: median of %zu runs; from and to enclose the true median with %.0f %% "
                      "confidence.",
                      t.n, 100 * t.sum.ci_coverage);
    if (e->variants->n > 1 && t.n != 0)
        hakc_out_note(o, "ratio: to %s; ~ = not told apart by a rank test (p >= 0.05)%s.",
                      e->variants->at[ref].label, n < 4 ? ": fewer than 4 repeats never can" : "");
    free(t.v);
}

int hakr_report_print(const struct hakr_report *r, FILE *f, enum hakc_out_format format,
                      struct hakc_err *err) {
    const struct hakr_experiment *e = r->experiment;
    struct hakc_out *o;
    int table = format == HAKC_OUT_TABLE;
    int rc = hakc_out_open(&o, f, format, JSON_VERSION, err);
    if (rc != 0)
        return rc;
    if (!table) {
        hakc_out_str(o, "tool", NULL, "hakreplay " HAK_VERSION);
        hakc_out_uint(o, "seed", NULL, e->seed);
        hakc_out_bool(o, "interrupted", NULL, e->interrupted);
        hakc_out_str(o, "touch", NULL,
                     e->touch == HAKR_TOUCH_FIRST  ? "first"
                     : e->touch == HAKR_TOUCH_NONE ? "none"
                                                   : "all");
        hakc_out_str(o, "clock", NULL,
                     e->tell_time && e->plan->clock_every_ns != 0 ? "virtual" : "real");
        driver_cost(o, e, 0);
    }
    trace_section(o, r);
    comparison(o, e, table);
    if (e->repeats[HAKR_PASS_ACCOUNT] != 0)
        syscalls(o, e);
    if (r->why != 0)
        hakr_report_why(o, e, r->why, table);
    if (e->repeats[HAKR_PASS_LATENCY] != 0)
        hakr_report_latency(o, e, table);
    hakr_report_extra(o, e, table);
    if (!table)
        raw_runs(o, e);
    if (table)
        driver_cost(o, e, 1);
    statistics_notes(o, e);
    counting_note(o, e);
    limit_notes(o, r);
    run_notes(o, e);
    fidelity_notes(o, r);
    if (e->interrupted)
        hakc_out_note(o, "Interrupted: only the runs that were finished are shown.");
    if (table && r->db_path != NULL)
        hakc_out_note(o, "Rows are in %s.", r->db_path);
    return hakc_out_close(o, err);
}
