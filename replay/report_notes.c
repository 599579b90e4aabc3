/* What is said beside the figures. */
#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include "common/units.h"
#include "replay/report_int.h"

#define SPREAD 1.25 /* of the slowest run to the median: told from there on */

/* The driver's own cost, and its share of the quickest result. */
void hakr_report_driver(struct hakc_out *o, const struct hakr_experiment *e, int table) {
    double quickest = NAN, cost = NAN;
    for (size_t v = 0; v < e->variants->n; v++) {
        double m = hakr_figure_median(e, v, HAKR_PASS_TIME, HAKR_F_NS_PER_OP);
        if (e->variants->at[v].control &&
            hakr_figure_median(e, v, HAKR_PASS_TIME, HAKR_F_FAILED) > 0)
            continue; /* a limit keeps it from its memory: what it took then is no cost of driving
                       */
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
    static const char no_aligned[] = "memalign aligned_alloc posix_memalign";
    size_t nv = e->variants->n;
    for (size_t v = 0; v < nv; v++) {
        const struct hakr_run *bad = hakr_experiment_failure(e, v, HAKR_PASS_COUNT),
                              *any = hakr_any_run(e, v);
        const char *label = e->variants->at[v].label;
        if (bad != NULL) {
            hakc_out_note(o, "%s: %s: %s", label, hakr_status_name(bad->result.status),
                          bad->result.error);
            continue;
        }
        if (any != NULL && any->result.substituted[0] != '\0')
            hakc_out_note(o, "%s has no %s: %s.", label, any->result.substituted,
                          strncmp(any->result.substituted, no_aligned, strlen(no_aligned)) == 0
                              ? "aligned allocations are refused"
                              : "made from what it has");
        failure_note(o, e, v);
        for (size_t i = 0; i < e->n_runs; i++)
            if (e->runs[i].variant == v && e->runs[i].result.error[0] != '\0') {
                hakc_out_note(o, "%s: %s", label, e->runs[i].result.error);
                break;
            }
    }
}

/* Settings of which it is not certain that they are in force. */
static void knob_notes(struct hakc_out *o, const struct hakr_experiment *e) {
    char text[400];
    for (size_t v = 0; v < e->variants->n; v++) {
        const struct hakr_variant *a = &e->variants->at[v];
        for (size_t i = 0; i < a->n_knobs; i++)
            if (hakr_knob_is_first(e->variants, v, i) &&
                hakr_knob_warning(&a->knobs[i], text, sizeof text))
                hakc_out_note(o, "%s: %s.", a->base, text);
    }
}

static void limit_note(struct hakc_out *o, const struct hakr_limit *l, const char *label,
                       const char *base, const struct hakr_compared *c) {
    switch (hakr_limit_verdict(l, c)) {
    case HAKR_LIMIT_UNLIKE:
        hakc_out_note(o,
                      "%s=%g%%: FAILED: %s and %s refused different numbers of allocations: they "
                      "did not do the same work.",
                      l->word, 100 * l->share, label, base);
        break;
    case HAKR_LIMIT_FROM_NONE:
        hakc_out_note(o, "%s=%g%%: FAILED: %s takes something where %s takes nothing.", l->word,
                      100 * l->share, label, base);
        break;
    case HAKR_LIMIT_NOT_COMPARED:
        hakc_out_note(o, "%s=%g%%: %s could not be compared with %s.", l->word, 100 * l->share,
                      label, base);
        break;
    case HAKR_LIMIT_FAILED:
        hakc_out_note(o, "%s=%g%%: FAILED: %s is at %.3f of %s (p = %.2g).", l->word,
                      100 * l->share, label, c->ratio, base, c->p);
        break;
    case HAKR_LIMIT_HELD:
        hakc_out_note(o, "%s=%g%%: held: %s is at %.3f of %s (p = %.2g%s).", l->word,
                      100 * l->share, label, c->ratio, base, c->p,
                      c->ratio > 1 + l->share ? ": not told apart" : "");
        break;
    }
}

static void limit_row(struct hakc_out *o, const struct hakr_limit *l, const char *label,
                      const char *base, const struct hakr_compared *c) {
    hakc_out_row(o);
    hakc_out_cell_str(o, label);
    hakc_out_cell_str(o, base);
    hakc_out_cell_str(o, l->word);
    hakc_out_cell_float(o, 100 * l->share);
    hakr_cell_float(o, c->has ? c->ratio : NAN);
    hakr_cell_float(o, c->has ? c->p : NAN);
    hakc_out_cell_str(o, hakr_limit_word(hakr_limit_verdict(l, c)));
}

void hakr_report_limits(struct hakc_out *o, const struct hakr_report *r, int as_notes) {
    static const struct hakc_col cols[] = {
        {"allocator", "", HAKC_COL_STR, 0}, {"baseline", "", HAKC_COL_STR, 0},
        {"limit", "", HAKC_COL_STR, 0},     {"percent", "", HAKC_COL_FLOAT, 3},
        {"ratio", "", HAKC_COL_FLOAT, 3},   {"p_value", "", HAKC_COL_FLOAT, 4},
        {"verdict", "", HAKC_COL_STR, 0},
    };
    const struct hakr_experiment *e = r->experiment;
    const char *base = e->variants->at[e->baseline].label;
    if (!as_notes)
        hakc_out_list(o, "limits", NULL, cols, sizeof cols / sizeof *cols);
    for (size_t i = 0; i < r->n_limits; i++) {
        const struct hakr_limit *l = &r->limits[i];
        for (size_t v = 0; v < e->variants->n; v++) {
            if (v == e->baseline || e->variants->at[v].control)
                continue;
            struct hakr_compared c = hakr_compare(e, v, e->baseline, l->pass, l->figure);
            (as_notes ? limit_note : limit_row)(o, l, e->variants->at[v].label, base, &c);
        }
    }
    if (!as_notes)
        hakc_out_list_end(o);
}

static void counting_note(struct hakc_out *o, const struct hakr_experiment *e) {
    static const char exact[] =
        "the counts are exact, the times in calls hold the stops of the tracer";
    for (size_t v = 0; v < e->variants->n; v++) {
        if (hakr_counting_of(e, v) != HAKR_BY_PTRACE)
            continue;
        if (e->counting == 0 && !e->seccomp_forbidden) {
            hakc_out_note(o,
                          "System calls of %s were counted by ptrace, because one of its threads "
                          "makes some with SIGSYS blocked: %s.",
                          e->variants->at[v].label, exact);
            continue;
        }
        hakc_out_note(o, "System calls were counted by ptrace%s: %s.",
                      e->counting == 0 ? ", because seccomp is forbidden here" : "", exact);
        return;
    }
}

static void statistics_notes(struct hakc_out *o, const struct hakr_experiment *e) {
    struct hakr_timing t;
    size_t ref = e->baseline;
    uint32_t n = e->repeats[HAKR_PASS_TIME];
    if (n == 0)
        return;
    hakr_timing_of(e, ref, &t);
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

static void noise_notes(struct hakc_out *o, const struct hakr_experiment *e) {
    char buf[160];
    const char *said;
    for (unsigned k = 0; (said = hakr_noise_sentence(&e->noise, k, buf, sizeof buf)) != NULL; k++)
        hakc_out_note(o, "%s", said);
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
    const struct hakr_run *r = hakr_first_ok(e, v, HAKR_PASS_CHECK);
    if (r != NULL)
        hakc_out_note(o, "%s: check: %llu times a block's bytes were looked at (%s): none changed.",
                      e->variants->at[v].label, (unsigned long long)r->result.checked_blocks,
                      hakc_format_bytes(bytes, r->result.checked_bytes));
}
void hakr_report_notes(struct hakc_out *o, const struct hakr_report *r) {
    const struct hakr_experiment *e = r->experiment;
    for (size_t v = 0; v < e->variants->n; v++)
        lag_note(o, e, v);
    noise_notes(o, e);
    for (size_t v = 0; v < e->variants->n && e->repeats[HAKR_PASS_CHECK] != 0; v++)
        check_note(o, e, v);
    statistics_notes(o, e);
    counting_note(o, e);
    hakr_report_limits(o, r, 1);
    knob_notes(o, e);
    run_notes(o, e);
    fidelity_notes(o, r);
    if (e->interrupted)
        hakc_out_note(o, "Interrupted: only the runs that were finished are shown.");
}
