/*
 * Statistics of small samples of repeats: robust, and honest about what a few values can show.
 *
 * "Sorted" arguments must ascend (hakc_sort). No value may be NaN. Any thread. Only
 * hakc_summarise and hakc_rank_test allocate, and free what they allocated.
 */
#ifndef COMMON_STATS_H
#define COMMON_STATS_H

#include <stddef.h>

/* Sorts ascending, in place. */
void hakc_sort(double *x, size_t n);

/* The value at fraction q (0..1) between the order statistics, linear between neighbours: type 7
 * of Hyndman & Fan, "Sample Quantiles in Statistical Packages", 1996. n >= 1. */
double hakc_quantile(const double *sorted, size_t n, double q);

/* The middle value, or the mean of the two middle ones. n >= 1. */
double hakc_median(const double *sorted, size_t n);

/* Arithmetic mean. n >= 1. */
double hakc_mean(const double *x, size_t n);

/* A confidence interval of the median from order statistics: no assumption on the distribution.
 * The interval from the k-th smallest to the k-th largest value covers the median with
 * probability 1 - 2 * P(Bin(n, 1/2) < k), computed exactly; the largest k that still reaches
 * `confidence` (0..1, usually 0.95) is taken. (Gibbons & Chakraborti, "Nonparametric Statistical
 * Inference", section on the interval of a quantile.)
 * Returns 1, or 0 if n is too small for that confidence even from smallest to largest (n < 6 for
 * 0.95); then *low = smallest, *high = largest and *coverage says what they cover. */
int hakc_median_ci(const double *sorted, size_t n, double confidence, double *low, double *high,
                   double *coverage);

struct hakc_summary {
    size_t n;
    double min, max, mean, median;
    double mad; /* median of |x - median|, not scaled */
    double ci_low, ci_high;
    double ci_coverage; /* what the interval really covers; for small n less than asked for */
    int has_ci;         /* 0: n is too small for the confidence asked for; do not call it a CI */
};

/* All of the above for values in any order; x is not changed. n = 0 gives n = 0 and zeros.
 * 0 or HAKC_ENOMEM. */
int hakc_summarise(const double *x, size_t n, double confidence, struct hakc_summary *out);

enum hakc_rank_method {
    HAKC_RANK_NONE = 0,   /* a sample is empty: p is 1 */
    HAKC_RANK_EXACT = 1,  /* no ties, both samples <= 25: the exact distribution of U */
    HAKC_RANK_NORMAL = 2, /* normal approximation with tie and continuity corrections */
};

struct hakc_rank_result {
    double u; /* of x: pairs with x > y, ties counting half */
    double p; /* two-sided: how likely a difference this large is if there is none */
    enum hakc_rank_method method;
};

/* Mann-Whitney U: do x and y differ in location? (Mann & Whitney 1947; tie correction as in
 * Lehmann, "Nonparametrics", 1975.) With few values p cannot get small: 3 against 3 reach 0.1 at
 * best. 0 or HAKC_ENOMEM. */
int hakc_rank_test(const double *x, size_t nx, const double *y, size_t ny,
                   struct hakc_rank_result *out);

struct hakc_ratio {
    double ratio;     /* median(x) / median(y); meaningful if has_ratio */
    double low, high; /* meaningful if has_ci */
    int has_ratio;    /* 0: a sample is empty or a median is not above 0 */
    int has_ci;       /* 0: a sample is too small */
};

/* The ratio of two medians. Its interval divides the ends of two intervals of the medians, each
 * at confidence 1 - (1 - confidence) / 2, so that by Bonferroni both hold together: safe, and
 * wider than need be. 0 or HAKC_ENOMEM. */
int hakc_ratio_of_medians(const double *x, size_t nx, const double *y, size_t ny, double confidence,
                          struct hakc_ratio *out);

#endif
