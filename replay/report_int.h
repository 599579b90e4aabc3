/*
 * What the parts of the report share.
 */
#ifndef REPLAY_REPORT_INT_H
#define REPLAY_REPORT_INT_H

#include "common/stats.h"
#include "replay/report.h"
#include "replay/run_figures.h"

/* A number, or "not measured" for NAN; whole: rounded, because a median may lie between two. */
void hakr_cell_float(struct hakc_out *o, double v);
void hakr_cell_whole(struct hakc_out *o, double v);

/* The policy asked for, else the one in force, else NULL. */
const char *hakr_policy_of(const struct hakr_variant *v, const struct hakr_run *run);

/* A run that failed, else the first one, of a variant; NULL if there is none. */
const struct hakr_run *hakr_any_run(const struct hakr_experiment *e, size_t v);

/* The first run of a pass, if none of them failed; or NULL. */
const struct hakr_run *hakr_first_ok(const struct hakr_experiment *e, size_t v,
                                     enum hakr_pass pass);

/* How the calls of a variant were counted: see hakr_counting_name. */
int hakr_counting_of(const struct hakr_experiment *e, size_t v);

/* Times of a variant, in ns/op; n = 0 if one of its runs failed. v is the caller's to free. */
struct hakr_timing {
    size_t n;
    double *v;
    struct hakc_summary sum;
};
void hakr_timing_of(const struct hakr_experiment *e, size_t v, struct hakr_timing *t);

/* The parts. */
void hakr_report_comparison(struct hakc_out *o, const struct hakr_experiment *e, int table);
void hakr_report_syscalls(struct hakc_out *o, const struct hakr_experiment *e);

/* The driver's own cost: a figure in data, a note in a table. */
void hakr_report_driver(struct hakc_out *o, const struct hakr_experiment *e, int table);

/* What became of each --fail-if: as a list, or as notes, which stand in data as well. */
void hakr_report_limits(struct hakc_out *o, const struct hakr_report *r, int as_notes);

/* What disturbed or limits the figures: noise, recorded times, statistics, limits, failures, what
 * the trace lacks. */
void hakr_report_notes(struct hakc_out *o, const struct hakr_report *r);

#endif
