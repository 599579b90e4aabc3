/*
 * A session: what one call of haksim keeps in the database while it works. It is one experiment;
 * with
 * --study it belongs to a study, and finds there what earlier sessions, of other processes or
 * machines, have evaluated already.
 *
 * A result counts as found if this very build of haksim made it (a library row of its own, by
 * content), for the same trace, policy and mode, and at the same prices. Results are stored batch
 * by batch, about one a second: a session that is interrupted, or killed, loses no more than that.
 */
#ifndef SIM_SIM_SESSION_H
#define SIM_SIM_SESSION_H

#include <stdint.h>
#include "sim/sim_rows.h"

struct hakd;

struct haks_session {
    struct hakd *db; /* NULL: nothing is kept, and every call below does nothing */
    const struct haks_costs *costs;
    int64_t experiment, study, library;
    int64_t trace;    /* of the rows that follow */
    int64_t position; /* of the next row */
    uint64_t started_unix_ns;
    size_t stored;       /* rows */
    struct hakc_err why; /* it could store no more; see haks_session_lost */
    int lost;
};

/* The command as it was typed: argv[0] is "haksim", or "haksim COMMAND". The caller's, or NULL. */
char *haks_command_line(int argc, char **argv);

/* Before the work: finds the prices to use (haks_costs_find), and that the database, if any, will
 * take results. The session's time counts from here. */
int haks_session_prepare(struct haks_session *s, const char *prices, const char *db,
                         struct haks_costs *costs, struct hakc_err *err);

/* Opens, or makes, the database and begins the experiment. db, study: NULL = none. costs must
 * outlive the session. */
int haks_session_begin(struct haks_session *s, const char *db, const char *study,
                       const struct haks_costs *costs, int argc, char **argv, struct hakc_err *err);

/* The rows that follow are of this trace. */
int haks_session_trace(struct haks_session *s, const char *path, struct hakc_err *err);

/* Fills in the rows that the study holds: done and found. *found counts them (may be NULL). */
int haks_session_find(struct haks_session *s, struct haks_row *rows, size_t n,
                      const struct haks_pass *pass, size_t *found, struct hakc_err *err);

/* Stores the rows that are done and were not found, in one transaction. Where that fails (a full
 * disk), the session stores nothing more: what is evaluated can still be shown. */
int haks_session_put(struct haks_session *s, const struct haks_row *rows, size_t n,
                     struct hakc_err *err);

/* Evaluates the rows that are not done, in batches that are stored as they are ready; those whose
 * placement depends on the policy run in full. *ns: what it took. Ends early, without an error,
 * when *stop becomes nonzero. */
struct haks_work {
    const char *trace;
    const struct haks_stream *stream;
    const struct haks_pass *pass;
    unsigned jobs;
    const volatile int *stop;
};
int haks_session_evaluate(struct haks_session *s, const struct haks_work *w, struct haks_row *rows,
                          size_t n, uint64_t *ns, struct hakc_err *err);

/* 0, or the code with which storing failed; then *err says it, and how many rows are stored. */
int haks_session_lost(const struct haks_session *s, struct hakc_err *err);

/* Ends the experiment, as "interrupted" if `stopped`, else by rc, the work's code, as "done" or
 * "failed"; closes the database. Returns rc, or if that is 0 what went wrong in ending, with *err.
 */
int haks_session_end(struct haks_session *s, int rc, int stopped, struct hakc_err *err);

#endif
