/*
 * What hakreplay prints: a table, JSON or CSV of an experiment.
 */
#ifndef REPLAY_REPORT_H
#define REPLAY_REPORT_H

#include <stdio.h>
#include "common/out.h"
#include "replay/experiment.h"
#include "replay/limits.h"
#include "tracer/format/trace.h"

struct hakr_report {
    const struct hakr_experiment *experiment;
    const char *trace_path, *sha256;
    uint64_t plan_ns; /* reading and planning took so long */
    const struct hakt_info *info;
    const struct hakt_totals *totals;
    int rebuilt;                     /* the trace has no trailer */
    const char *db_path;             /* where the rows went, or NULL */
    const uint64_t *stored;          /* storing failed: so many runs had been stored before */
    const struct hakr_limit *limits; /* of --fail-if: what became of each is told */
    size_t n_limits;
    uint32_t why; /* causes of system calls to show for each variant; 0 = none */
};

int hakr_report_print(const struct hakr_report *r, FILE *f, enum hakc_out_format format,
                      struct hakc_err *err);

/* The latencies by op (and size class in data), the slowest ops, and their notes. */
void hakr_report_latency(struct hakc_out *o, const struct hakr_experiment *e, int table);

/* The causes of memory system calls, `most` of each variant: one list and its note. */
void hakr_report_why(struct hakc_out *o, const struct hakr_experiment *e, uint32_t most, int table);

/* What stands beside the comparison: memory in parts and after the run, counters; in data threads
 * and samples too. */
void hakr_report_extra(struct hakc_out *o, const struct hakr_experiment *e, int table);

#endif
