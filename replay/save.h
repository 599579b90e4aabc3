/*
 * From an experiment to rows in the store.
 */
#ifndef REPLAY_SAVE_H
#define REPLAY_SAVE_H

#include "db/store.h"
#include "replay/experiment.h"
#include "tracer/format/trace.h"

struct hakr_save {
    struct hakd *db;
    int64_t experiment, trace;
    int64_t *libraries; /* by variant; 0 = not put yet */
    const struct hakr_plan *plan;
    const char *mode;
    const struct hakr_variants *variants;
    uint64_t stored;         /* runs */
    struct hakc_err failure; /* code 0, or why storing ended before the runs did */
};

/* Opens (or makes) the database and puts trace, machine and experiment. sha256 is the trace's, args
 * the command line. */
int hakr_save_begin(struct hakr_save *s, const char *db_path, const char *trace_path,
                    const char *sha256, const struct hakt_info *info,
                    const struct hakt_totals *totals, const struct hakr_experiment *e,
                    const char *args, struct hakc_err *err);

/* Puts one run, whole or not at all: fits hakr_experiment.on_run. Where that fails (a full disk)
 * the reason is said and kept in `failure`, and nothing more is stored; the experiment goes on, for
 * what it measures can still be shown. Returns 0. */
int hakr_save_run(void *save, const struct hakr_run *run, struct hakc_err *err);

/* Its part beside run and figures: system calls and their causes, samples, threads, latencies by
 * size, slowest ops. */
int hakr_save_detail(struct hakr_save *s, int64_t id, const struct hakr_run *run,
                     struct hakc_err *err);

/* Marks the experiment "done", "interrupted" or "failed" and closes. Also after a failure, by which
 * it is "failed", if that can be written, and which is returned. */
int hakr_save_end(struct hakr_save *s, const char *state, struct hakc_err *err);

#endif
