/*
 * The figures of a run, and of a variant over its runs: what tables, JSON and database show. One
 * definition each. NAN = not measured.
 */
#ifndef REPLAY_RUN_FIGURES_H
#define REPLAY_RUN_FIGURES_H

#include "replay/experiment.h"

enum hakr_figure {
    HAKR_F_NS_PER_OP, /* time pass: wall time of the region / planned ops */
    HAKR_F_WALL_NS,
    HAKR_F_USER_NS,
    HAKR_F_SYS_NS,
    HAKR_F_MINFLT,
    HAKR_F_MAJFLT,
    HAKR_F_BLOCKED,   /* hand-overs that had to wait */
    HAKR_F_HELD_BACK, /* waits for the drift limit */
    HAKR_F_PACED,     /* ops that waited for their recorded time, a share; with --speed alone */
    HAKR_F_LAG_MEDIAN,
    HAKR_F_LAG_P99,
    HAKR_F_LAG_MAX,
    HAKR_F_FAILED,   /* allocations that gave NULL */
    HAKR_F_SYSCALLS, /* account pass from here on */
    HAKR_F_SYSCALL_NS,
    HAKR_F_RELEASES,
    HAKR_F_FAULT_NS,    /* price of a page fault */
    HAKR_F_CALL_FAULTS, /* faults that populate calls made */
    HAKR_F_KERNEL_NS,   /* memory calls, and faults by their number and price */
    HAKR_F_PEAK,
    HAKR_F_MEAN,
    HAKR_F_END,
    HAKR_F_LAZY,
    HAKR_F_PEAK_LIVE,
    HAKR_F_MEAN_LIVE,
    HAKR_F_BASELINE,
    HAKR_F_MEAN_TIME, /* weighted by recorded time */
    HAKR_F_MEAN_LIVE_TIME,
    HAKR_F_HUGE, /* of END: in huge pages */
    HAKR_F_PEAK_HUGE,
    HAKR_F_PEAK_LAZY,
    HAKR_F_REST_100MS, /* resident so long after the run */
    HAKR_F_REST_1S,
    HAKR_F_REST_5S,
    HAKR_F_SHARED,   /* the driver's own mappings */
    HAKR_F_OVERHEAD, /* mean resident / mean live */
    HAKR_F_COUNT
};

/* One run's figure; NAN if its pass does not measure it. `ops` is the plan's. */
double hakr_figure(const struct hakr_run *r, enum hakr_figure f, uint64_t ops);

/* All of a variant's runs of a pass; owned by the caller. NULL and *n = 0 if there are none, or if
 * one of them failed. */
double *hakr_figures(const struct hakr_experiment *e, size_t variant, enum hakr_pass pass,
                     enum hakr_figure f, size_t *n);

/* Their median; NAN if there are none. */
double hakr_figure_median(const struct hakr_experiment *e, size_t variant, enum hakr_pass pass,
                          enum hakr_figure f);

/* Whether two variants refused different numbers of allocations: then they did not do the same
 * work, and there is no ratio between them. */
int hakr_failed_unlike(const struct hakr_experiment *e, size_t a, size_t b, enum hakr_pass pass);

/* The latencies of a variant's runs, added up; the caller's to free. NULL if there are none or one
 * failed, or out of memory. */
struct hakr_latency *hakr_latency_of(const struct hakr_experiment *e, size_t variant);

#endif
