/*
 * A part of a trace as a trace. Memory: the live objects of the cut, and one chunk.
 */
#ifndef TRACER_CUT_H
#define TRACER_CUT_H

#include <stdint.h>
#include "common/err.h"
#include "tracer/format/trace.h"

/* A record is taken if all of it holds: it is one of `count` from number `from` on, its time lies
 * in from_time <= t < to_time, and its thread is in the list. */
struct hakt_cut_args {
    const char *input, *output;
    const char *threads; /* such as "0,3,5-9"; NULL = all */
    uint64_t from, count, from_time, to_time;
    int by_time; /* a time was given: the trace must have some */
    int level;   /* as for hakt_writer_open */
};

struct hakt_cut_result {
    struct hakt_totals totals; /* of the new trace */
    int rebuilt;               /* the source has no trailer: nobody knows what it lost */
};

/* Ids and threads are numbered anew, times count from the first record or event taken. Where it
 * fails, what stood at `output` before is still there. */
int hakt_cut(const struct hakt_cut_args *a, struct hakt_cut_result *result, struct hakc_err *err);

#endif
