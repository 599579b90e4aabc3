#include <math.h>
#include <stdlib.h>
#include <string.h>
#include "replay/report_int.h"

#define CONFIDENCE 0.95

void hakr_cell_float(struct hakc_out *o, double v) {
    if (isnan(v))
        hakc_out_cell_null(o);
    else
        hakc_out_cell_float(o, v);
}

/* The policy asked for, else the one in force, else NULL. */
const char *hakr_policy_of(const struct hakr_variant *v, const struct hakr_run *run) {
    if (v->policy != NULL || run == NULL || run->result.policy[0] == '\0')
        return v->policy;
    return run->result.policy;
}

/* For columns of whole numbers: a median may lie between two. */
void hakr_cell_whole(struct hakc_out *o, double v) {
    if (isnan(v))
        hakc_out_cell_null(o);
    else
        hakc_out_cell_uint(o, (uint64_t)(v + 0.5));
}
/* Times of a variant; none if one of its runs failed. */
void hakr_timing_of(const struct hakr_experiment *e, size_t v, struct hakr_timing *t) {
    memset(t, 0, sizeof *t);
    t->v = hakr_figures(e, v, HAKR_PASS_TIME, HAKR_F_NS_PER_OP, &t->n);
    if (t->n != 0)
        hakc_summarise(t->v, t->n, CONFIDENCE, &t->sum);
}

const struct hakr_run *hakr_any_run(const struct hakr_experiment *e, size_t v) {
    const struct hakr_run *found = hakr_experiment_failure(e, v, HAKR_PASS_COUNT);
    for (size_t i = 0; found == NULL && i < e->n_runs; i++)
        if (e->runs[i].variant == v)
            found = &e->runs[i];
    return found;
}

int hakr_counting_of(const struct hakr_experiment *e, size_t v) {
    for (size_t i = 0; i < e->n_runs; i++)
        if (e->runs[i].variant == v && e->runs[i].pass == HAKR_PASS_ACCOUNT)
            return e->runs[i].result.counted;
    return 0;
}
const struct hakr_run *hakr_first_ok(const struct hakr_experiment *e, size_t v,
                                     enum hakr_pass pass) {
    if (hakr_experiment_failure(e, v, pass) != NULL)
        return NULL;
    for (size_t i = 0; i < e->n_runs; i++)
        if (e->runs[i].variant == v && e->runs[i].pass == pass)
            return &e->runs[i];
    return NULL;
}
