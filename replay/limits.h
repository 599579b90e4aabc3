/*
 * Limits on how a variant may compare with the baseline: --fail-if slower=3%, bigger=5%.
 */
#ifndef REPLAY_LIMITS_H
#define REPLAY_LIMITS_H

#include <stddef.h>
#include "common/err.h"
#include "replay/experiment.h"
#include "replay/run_figures.h"

#define HAKR_SIGNIFICANT 0.05
#define HAKR_LIMITS_MAX  16

struct hakr_limit {
    const char *word;        /* "slower", "bigger", "peak" */
    enum hakr_pass pass;     /* whose runs are compared */
    enum hakr_figure figure; /* of which the median may be larger by */
    double share;            /* 0.03 = 3 % */
};

/* Parses "slower=3%". HAKC_EUSAGE with a sentence. */
int hakr_limit_parse(const char *text, struct hakr_limit *limit, struct hakc_err *err);

/* How variant v compares with the variant `base`. */
struct hakr_compared {
    int unlike;    /* they refused different numbers of allocations: nothing to compare */
    int has;       /* both were measured, in all their runs */
    int from_none; /* both were, but the baseline is at 0 and this one is not: no ratio */
    double ratio;  /* of the medians */
    double p;      /* of the rank test; 1 where it has nothing to say */
};
struct hakr_compared hakr_compare(const struct hakr_experiment *e, size_t v, size_t base,
                                  enum hakr_pass pass, enum hakr_figure figure);

enum hakr_limit_verdict {
    HAKR_LIMIT_HELD = 0,
    HAKR_LIMIT_FAILED,       /* beyond it, and beyond what chance explains (p < HAKR_SIGNIFICANT) */
    HAKR_LIMIT_UNLIKE,       /* a gate does not open for what cannot be judged: this one and ... */
    HAKR_LIMIT_FROM_NONE,    /* ... this one break it, too */
    HAKR_LIMIT_NOT_COMPARED, /* a run failed, which has an exit code of its own */
};
enum hakr_limit_verdict hakr_limit_verdict(const struct hakr_limit *limit,
                                           const struct hakr_compared *c);

/* "held", "failed", "failed: different work", "failed: nothing in the baseline", "not-compared". */
const char *hakr_limit_word(enum hakr_limit_verdict verdict);

/* How many variants broke a limit. */
size_t hakr_limits_broken(const struct hakr_experiment *e, size_t base,
                          const struct hakr_limit *limits, size_t n);

#endif
