/* What `haksim optimise` knows of each trace, and how it finds it. */
#ifndef SIM_OPTIMISE_TRACES_H
#define SIM_OPTIMISE_TRACES_H

#include "sim/optimise.h"
#include "sim/oracle.h"
#include "sim/sim_session.h"

/* The memory that is bounded. */
enum haks_memory {
    HAKS_MEMORY_MEAN,     /* by time where the trace has times, else by ops */
    HAKS_MEMORY_MEAN_OPS, /* by ops */
    HAKS_MEMORY_PEAK,
};

/* --keep-memory-below: bytes, or thousandths of what `eager` needs on the same trace. */
struct haks_limit {
    uint64_t bytes, times_milli; /* one of them is 0 */
};

/* What the oracle says of a point; UINT64_MAX = it says nothing. */
struct haks_outlook {
    uint64_t bound_ns, reachable_ns;
    int asked;
};

struct haks_subject {
    const char *path, *name; /* name: the last part */
    int held_out;            /* not chosen by, only tried on */
    const char *kind;        /* of memory: "mean-time", "mean", "peak" */
    struct haks_pass pass;
    struct haks_stream *stream;
    struct haks_oracle *oracle;
    struct haks_row *rows;     /* one a policy */
    struct haks_point *points; /* likewise */
    struct haks_point *may; /* those of them that can be deployed: models cannot; part of the table
                               of all traces */
    struct haks_outlook *outlook;
    int64_t trace; /* its row in the database */
    uint64_t floor, bound;
    size_t *front, n_front, knee, best; /* knee: a place in the front; best: a policy */
    size_t found;                       /* policies that the study held */
    uint64_t eval_ns;
};

/* Evaluates all policies on a trace, and finds front, knee and the best. eager: which of them is
 * `eager`. points, may: room for n. The session keeps the results. */
int haks_subject_evaluate(struct haks_subject *s, struct haks_session *session,
                          const struct hakp_spec *policies, size_t n, size_t eager,
                          enum haks_memory memory, const struct haks_limit *limit, unsigned jobs,
                          const volatile int *stop, struct hakc_err *err);

/* Asks the oracle about policy p (once). */
int haks_subject_ask(struct haks_subject *s, size_t p, struct hakc_err *err);

/* Stores the oracle's answers for the front, and along the whole range of memory between. */
int haks_subject_keep_oracle(struct haks_subject *s, struct haks_session *session,
                             struct hakc_err *err);

void haks_subject_free(struct haks_subject *s);

#endif
