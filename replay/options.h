/*
 * The command line of hakreplay: what was asked for, checked and complete.
 */
#ifndef REPLAY_OPTIONS_H
#define REPLAY_OPTIONS_H

#include <stdint.h>
#include "common/err.h"
#include "common/out.h"
#include "replay/limits.h"
#include "replay/load.h"
#include "replay/run.h"
#include "replay/variant.h"

#define HAKR_TOOL         "hakreplay"
#define HAKR_MAX_POLICIES 64

struct hakr_options {
    const char *trace;
    struct hakr_variants variants;
    const char *policies[HAKR_MAX_POLICIES];
    size_t n_policies;
    const char *knobs[HAKR_MAX_POLICIES];
    size_t n_knobs;
    unsigned passes; /* bits by enum hakr_pass */
    uint32_t repeats, account_repeats;
    uint32_t why, slowest, latency_repeats;
    const char *db;
    const char *baseline_name;
    size_t baseline;
    struct hakr_limit limits[HAKR_LIMITS_MAX];
    size_t n_limits;
    double speed;   /* --speed: 0 = as fast as it goes, 1 = as recorded */
    uint64_t drift; /* --drift: HAKR_DRIFT_AUTO = in the account pass alone */
    uint64_t rest_ns;
    int counting;
    double until; /* 0 = a fixed number of repeats */
    uint32_t max_repeats;
    int monotonic; /* --latency-clock: never the time stamp counter */
    int exact_clock;
    int recorded;   /* by haktrace: one run of libc, in this process */
    int real_clock; /* 0 = virtual where the trace has times */
    int no_db, no_control, no_warm_up, marks;
    uint64_t seed, timeout_ns, memory_limit;
    int abba;            /* --order */
    int limit_by_cgroup; /* --limit-by; 0 = by RLIMIT_DATA */
    enum hakr_touch touch;
    enum hakc_out_format format;
    struct hakc_err err; /* of an option, while parsing: its exit code is the right one */
};

/* Fills in *o. What argp finds wrong ends the program with code 2; all else is returned. The
 * strings are argv's; o->variants is the caller's to free, also after a failure. */
int hakr_options_parse(struct hakr_options *o, int argc, char **argv, struct hakc_err *err);

/* The second half of it: the variants crossed with the policies, the control, the baseline, what
 * --fail-if needs, what a recorder allows. */
int hakr_options_complete(struct hakr_options *o, struct hakc_err *err);

#endif
