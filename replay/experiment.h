/*
 * An experiment: variants x passes x repeats over one plan, each run in a fresh process. It goes by
 * rounds, so that drift of the machine meets all alike: each round runs every variant once in each
 * pass, shuffled by the seed, or (ABBA) in their order and in every second round in the reverse.
 *
 * A variant whose run fails is not run again in that pass (and in none, if its library is wrong or
 * the check pass found its blocks corrupted): the others go on.
 */
#ifndef REPLAY_EXPERIMENT_H
#define REPLAY_EXPERIMENT_H

#include <stdint.h>
#include "common/err.h"
#include "replay/noise.h"
#include "replay/plan.h"
#include "replay/run.h"
#include "replay/variant.h"

struct hakr_run {
    size_t variant;
    enum hakr_pass pass;
    uint32_t repeat;
    uint32_t position; /* in the order of the experiment */
    struct hakr_result result;
};

struct hakr_experiment {
    /* The task; the caller's. */
    const struct hakr_plan *plan;
    const struct hakr_variants *variants;
    uint32_t repeats[HAKR_PASS_COUNT]; /* 0 = not that pass */
    int warm_up; /* one run of each variant before, not kept unless it fails */
    uint64_t seed;
    int abba; /* the order, instead of a random one */
    uint64_t timeout_ns, memory_limit;
    int limit_by_cgroup; /* see hakr_task */
    enum hakr_touch touch;
    double pace;           /* ns of a run for each ns recorded; 0 = as fast as it goes */
    unsigned drift_passes; /* bits by enum hakr_pass: where the plan's drift limit is kept */
    int tell_time;         /* hakmem takes the recorded time for its clock */
    int marks;
    double until;         /* time pass: repeats go on until every interval is so narrow; 0 = not */
    uint32_t max_repeats; /* or so many were made */
    int counting;         /* 0 = by seccomp, or ptrace where that is forbidden */
    int recorded;         /* see hakr_task */
    uint64_t rest_ns;     /* see hakr_task */
    size_t baseline;      /* the variant that ratios are to */
    int tsc;              /* latency pass: the clock, and why it is not the counter */
    const char *tsc_why;
    uint32_t slowest;         /* latency pass: ops to list, and to look into afterwards */
    const volatile int *stop; /* see hakr_run */
    /* Called after each run that is kept (may be NULL); not 0 ends the experiment with that code.
     */
    int (*on_run)(void *arg, const struct hakr_run *run, struct hakc_err *err);
    void *arg;

    /* The result. */
    struct hakr_run *runs; /* owned, in the order they were done */
    size_t n_runs, cap;
    int seccomp_forbidden; /* found out */
    uint32_t time_rounds;  /* repeats of the time pass that were made */
    int too_wide;          /* `until` was not reached */
    struct hakr_noise noise;
    int interrupted;
};

/* Runs it all. 0, also if runs failed or the user interrupted it. */
int hakr_experiment_run(struct hakr_experiment *e, struct hakc_err *err);
void hakr_experiment_free(struct hakr_experiment *e);

/* A run of this variant in `pass` (HAKR_PASS_COUNT = in any) that is not HAKR_OK, or NULL. A pass
 * with a failure yields no figure, whatever its other runs gave. */
const struct hakr_run *hakr_experiment_failure(const struct hakr_experiment *e, size_t variant,
                                               enum hakr_pass pass);

#endif
