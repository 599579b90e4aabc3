/*
 * From a trace file to a plan.
 */
#ifndef REPLAY_LOAD_H
#define REPLAY_LOAD_H

#include "common/err.h"
#include "replay/plan.h"

/* Reads the trace and plans it; clock_every_ns as in struct hakr_plan, which stays 0 if the trace
 * has no times. The plan belongs to the caller (hakr_plan_free), also after a
 * failure. *r stays open: it holds what the file says of itself. */
int hakr_load(const char *path, uint64_t clock_every_ns, struct hakr_plan *plan,
              struct hakt_reader **r, struct hakc_err *err);

#endif
