/*
 * From a trace file to a plan.
 */
#ifndef REPLAY_LOAD_H
#define REPLAY_LOAD_H

#include "common/err.h"
#include "replay/plan.h"

/* What of the trace is planned besides its ops: see struct hakr_plan. */
struct hakr_load_options {
    uint64_t clock_every_ns; /* stays 0 if the trace has no times */
    int every_time;          /* HAKC_EREFUSED if the trace has no times */
    uint64_t drift;          /* HAKR_DRIFT_AUTO = by the length of the trace */
};
#define HAKR_DRIFT_AUTO (UINT64_MAX - 1)

/* Reads the trace and plans it. The plan belongs to the caller (hakr_plan_free), also after a
 * failure. *r stays open: it holds what the file says of itself. */
int hakr_load(const char *path, const struct hakr_load_options *options, struct hakr_plan *plan,
              struct hakt_reader **r, struct hakc_err *err);

#endif
