/* Rows: one policy, one mode, one result; evaluated on all cores, shown, and stored. */
#ifndef SIM_SIM_ROWS_H
#define SIM_SIM_ROWS_H

#include <stdio.h>
#include "common/out.h"
#include "sim/cost_model.h"
#include "sim/sim.h"

struct haks_row {
    struct hakp_spec spec;
    char policy[128]; /* canonical */
    const char *mode; /* "events", "full" */
    int done;         /* 0: interrupted before its turn */
    int found;        /* the study held it: nothing was evaluated */
    int rc;           /* of its evaluation; err says why */
    struct hakc_err err;
    struct haks_figures f;
    uint64_t sim_ns;   /* what it took to find them */
    uint64_t least_ns; /* no schedule costs less at this mean (by ops), by the oracle; HAKS_UNKNOWN
                          where its rules do not hold */
    int fell_back;     /* meant for events, run in full */
    int checked;       /* --check-full ran: */
    char differs[160]; /* the first difference to the other mode, or "" */
};

/* Sets up a row for each policy. NULL: no memory. The caller's, free(). */
struct haks_row *haks_rows_new(const struct hakp_spec *specs, size_t n, const char *mode);

/* Evaluates all rows that are not done on `jobs` threads; *stop ends it early. Returns the wall
 * time in ns. */
uint64_t haks_rows_evaluate(struct haks_row *rows, size_t n, const struct haks_stream *stream,
                            const struct haks_pass *pass, const struct haks_costs *costs,
                            unsigned jobs, const volatile int *stop);

/* The same by full runs, one after another. */
uint64_t haks_rows_full(struct haks_row *rows, size_t n, const char *trace, struct haks_pass *pass,
                        const struct haks_costs *costs, const volatile int *stop);

/* Runs those in full whose placement turned out to depend on the policy; their mode says so. */
uint64_t haks_rows_fall_back(struct haks_row *rows, size_t n, const char *trace,
                             const struct haks_costs *costs, const volatile int *stop);

/* Asks the oracle (oracle.h) for the least cost at each row's memory. */
int haks_rows_ask_oracle(struct haks_row *rows, size_t n, const struct haks_stream *stream,
                         const struct haks_pass *pass, const struct haks_costs *costs,
                         struct hakc_err *err);

/* 0 where the oracle's rules do not hold: a policy that brings pages in ahead of their touch, or
 * that was run in full because it places otherwise. */
int haks_row_comparable(const struct haks_row *r);

/* One document on f. checks: the full rows of --check-full, or NULL. first_pass: pass->wall_ns is
 * that of a first pass. eval_ns: of all rows together. */
int haks_rows_show(FILE *f, enum hakc_out_format format, const char *trace,
                   const struct haks_costs *costs, const struct haks_pass *pass,
                   const struct haks_row *rows, const struct haks_row *checks, size_t n,
                   uint64_t eval_ns, struct hakc_err *err);

struct hakd;

/* The trace's row, found or made. */
int haks_store_trace(struct hakd *db, const char *path, int64_t *id, struct hakc_err *err);

/* An error if the database could not be written later. Creates nothing. */
int haks_store_check(const char *db, struct hakc_err *err);

/* One row as a run; its place in *run moves on. In the caller's transaction. */
struct hakd_run;
int haks_store_row(struct hakd *db, const struct haks_row *r, struct hakd_run *run,
                   struct hakc_err *err);

#endif
