/* What `haksim optimise` found, and its document. */
#ifndef SIM_OPTIMISE_REPORT_H
#define SIM_OPTIMISE_REPORT_H

#include "common/out.h"
#include "sim/optimise_traces.h"

#define HAKS_CONFIRM_REPEATS 5u /* the median lies between the least and the most with 94 % */

/* A figure of the chosen policy on a trace: predicted, and measured by hakreplay: the median, the
 * least and the most of its repeats. */
struct haks_confirmed {
    const char *trace, *figure, *unit;
    double predicted, measured, least, most; /* NaN: not measured */
};

/* Leave one out: chosen on all other traces, tried on this one. */
struct haks_trial {
    size_t trace, policy;
};

struct haks_findings {
    struct haks_subject *traces;
    size_t n_traces, n_train; /* the first n_train are those chosen by */
    size_t n_policies;
    struct haks_limit limit;
    const char *memory; /* --memory */
    const char *study, *db;
    const char *prices;
    struct haks_choice choice; /* one policy for all */
    const struct haks_trial *trials;
    size_t n_trials;
    const struct haks_confirmed *confirmed;
    size_t n_confirmed;
};

/* Text of a policy: HAKMEM_POLICY's value. */
const char *haks_findings_policy(const struct haks_findings *f, size_t policy);

/* The line that deploys the choice, and that which confirms it on a trace. Quoted for a shell. The
 * caller's, free(); NULL: no memory. */
char *haks_findings_deploy(const struct haks_findings *f);
char *haks_findings_confirm(const struct haks_findings *f, const struct haks_subject *s);

/* Runs hakreplay for each trace under the choice, each result into the database, and reads back
 * what it measured: *out (the caller's) and *n. HAKC_ECHILD if a replay fails. */
int haks_confirm(const struct haks_findings *f, unsigned repeats, struct haks_confirmed **out,
                 size_t *n, const volatile int *stop, struct hakc_err *err);

int haks_findings_show(FILE *file, enum hakc_out_format format, const struct haks_findings *f,
                       struct hakc_err *err);

#endif
