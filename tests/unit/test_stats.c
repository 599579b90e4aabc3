/* Statistics against values that the test derives itself, mostly by enumerating every case. */
#include <stdarg.h>
#include <setjmp.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <math.h>
#include <stdlib.h>
#include "common/stats.h"

static uint32_t seed = 12345;

static uint32_t next_random(void) {
    seed ^= seed << 13;
    seed ^= seed >> 17;
    seed ^= seed << 5;
    return seed;
}

static void near(double a, double b, double tolerance) {
    if (!(fabs(a - b) <= tolerance))
        fail_msg("%.17g is not %.17g", a, b);
}

static void test_basics(void **state) {
    (void)state;
    double x[] = {9, 1, 4, 2, 100};
    struct hakc_summary s;
    assert_int_equal(hakc_summarise(x, 5, 0.95, &s), 0);
    assert_int_equal(s.n, 5);
    near(s.min, 1, 0);
    near(s.max, 100, 0);
    near(s.median, 4, 0);
    near(s.mean, 23.2, 1e-12);
    near(s.mad, 3, 0); /* |x - 4| = 0 2 3 5 96 */
    assert_false(s.has_ci);
    near(s.ci_coverage, 1 - 2.0 / 32, 1e-12);
    near(x[0], 9, 0); /* not sorted in place */
    double even[] = {1, 2, 3, 10};
    near(hakc_median(even, 4), 2.5, 0);
    near(hakc_quantile(even, 4, 0), 1, 0);
    near(hakc_quantile(even, 4, 1), 10, 0);
    near(hakc_quantile(even, 4, 0.5), 2.5, 0);
    near(hakc_quantile(even, 4, 0.9), 3 + 0.7 * 7, 1e-12); /* place 0.9 * 3 = 2.7 */
    double one = 7;
    near(hakc_quantile(&one, 1, 0.3), 7, 0);
    double huge[] = {1.5e308, 1.6e308};
    assert_true(isfinite(hakc_mean(huge, 2)) && isfinite(hakc_median(huge, 2)));
    assert_int_equal(hakc_summarise(NULL, 0, 0.95, &s), 0);
    assert_int_equal(s.n, 0);
}

/* The k-th smallest to the k-th largest covers the median if at least k of the values lie on each
 * side; each value is on either side with probability 1/2: go through all 2^n cases. */
static double enumerated_coverage(unsigned n, unsigned k) {
    unsigned covered = 0;
    for (unsigned sides = 0; sides < 1u << n; sides++) {
        unsigned below = (unsigned)__builtin_popcount(sides);
        covered += below >= k && n - below >= k;
    }
    return (double)covered / (double)(1u << n);
}

static void test_median_interval(void **state) {
    (void)state;
    const double wanted[] = {0.5, 0.9, 0.95, 0.975, 0.99};
    for (unsigned n = 1; n <= 16; n++)
        for (unsigned w = 0; w < 5; w++) {
            double x[16], low, high, coverage;
            for (unsigned i = 0; i < n; i++)
                x[i] = i + 1;
            int has = hakc_median_ci(x, n, wanted[w], &low, &high, &coverage);
            unsigned k = (unsigned)low;
            near(high, n + 1 - k, 0);
            near(coverage, enumerated_coverage(n, k), 1e-12);
            assert_int_equal(has, coverage >= wanted[w] - 1e-12);
            if (has && 2 * (k + 1) <= n + 1) /* the next narrower one is too narrow */
                assert_true(enumerated_coverage(n, k + 1) < wanted[w]);
            if (!has)
                assert_int_equal(k, 1);
        }
}

static void test_interval_of_many(void **state) {
    (void)state;
    static double x[2001];
    double low, high, coverage;
    for (unsigned i = 0; i < 2001; i++)
        x[i] = i;
    assert_true(hakc_median_ci(x, 2001, 0.95, &low, &high, &coverage));
    /* the normal approximation: half the width is 1.96 * sqrt(n) / 2 = 43.8 */
    near(1000 - low, 43.8, 1.5);
    near(high - 1000, 43.8, 1.5);
    assert_true(coverage >= 0.95 && coverage < 0.96);
}

static double u_of(const double *x, unsigned nx, const double *y, unsigned ny) {
    double u = 0;
    for (unsigned i = 0; i < nx; i++)
        for (unsigned k = 0; k < ny; k++)
            u += x[i] > y[k] ? 1 : x[i] == y[k] ? 0.5 : 0;
    return u;
}

/* Goes through every choice of nx out of the pooled values. *lower, *upper: the shares of choices
 * whose U is at most, at least u; *mean, *var: of U. */
static void enumerate_u(const double *pool, unsigned nx, unsigned ny, double u, double *lower,
                        double *upper, double *mean, double *var) {
    unsigned n = nx + ny, choices = 0, at_most = 0, at_least = 0;
    double sum = 0, squares = 0;
    for (unsigned set = 0; set < 1u << n; set++) {
        double a[16], b[16];
        unsigned na = 0, nb = 0;
        if ((unsigned)__builtin_popcount(set) != nx)
            continue;
        for (unsigned i = 0; i < n; i++)
            if (set >> i & 1)
                a[na++] = pool[i];
            else
                b[nb++] = pool[i];
        double v = u_of(a, na, b, nb);
        choices++;
        at_most += v <= u;
        at_least += v >= u;
        sum += v;
        squares += v * v;
    }
    *lower = (double)at_most / choices;
    *upper = (double)at_least / choices;
    *mean = sum / choices;
    *var = squares / choices - *mean * *mean;
}

static void test_rank_exact(void **state) {
    (void)state;
    for (unsigned round = 0; round < 60; round++) {
        unsigned nx = 1 + next_random() % 6, ny = 1 + next_random() % 6, n = nx + ny;
        double pool[12], lower, upper, mean, var;
        for (unsigned i = 0; i < n; i++)
            pool[i] = i * 1.5;
        for (unsigned i = n - 1; i > 0; i--) {
            unsigned k = next_random() % (i + 1);
            double t = pool[i];
            pool[i] = pool[k];
            pool[k] = t;
        }
        struct hakc_rank_result r;
        assert_int_equal(hakc_rank_test(pool, nx, pool + nx, ny, &r), 0);
        assert_int_equal(r.method, HAKC_RANK_EXACT);
        double u = u_of(pool, nx, pool + nx, ny);
        near(r.u, u, 0);
        enumerate_u(pool, nx, ny, u, &lower, &upper, &mean, &var);
        near(r.p, fmin(1, 2 * fmin(lower, upper)), 1e-12);
    }
}

static void test_rank_ties(void **state) {
    (void)state;
    for (unsigned round = 0; round < 60; round++) {
        unsigned nx = 2 + next_random() % 5, ny = 2 + next_random() % 5, n = nx + ny;
        double pool[12], lower, upper, mean, var;
        for (unsigned i = 0; i < n; i++)
            pool[i] = next_random() % 4;
        pool[0] = pool[n - 1]; /* at least one tie */
        struct hakc_rank_result r;
        assert_int_equal(hakc_rank_test(pool, nx, pool + nx, ny, &r), 0);
        assert_int_equal(r.method, HAKC_RANK_NORMAL);
        double u = u_of(pool, nx, pool + nx, ny);
        near(r.u, u, 1e-12);
        /* the variance of U under ties, by enumeration instead of by the formula */
        enumerate_u(pool, nx, ny, u, &lower, &upper, &mean, &var);
        double d = fabs(u - mean) - 0.5;
        near(r.p, var < 1e-12 || d <= 0 ? 1 : erfc(d / sqrt(var) / sqrt(2)), 1e-9);
    }
}

static void test_rank_edges(void **state) {
    (void)state;
    struct hakc_rank_result r;
    double x[60] = {0}, y[60] = {0};
    assert_int_equal(hakc_rank_test(x, 0, y, 3, &r), 0);
    assert_int_equal(r.method, HAKC_RANK_NONE);
    near(r.p, 1, 0);
    for (unsigned i = 0; i < 60; i++)
        x[i] = y[i] = 5;
    hakc_rank_test(x, 4, y, 4, &r);
    near(r.p, 1, 0);
    /* the largest exact case and the approximation beyond agree */
    for (unsigned i = 0; i < 60; i++) {
        x[i] = 2 * i;
        y[i] = 2 * i + 9;
    }
    hakc_rank_test(x, 25, y, 25, &r);
    assert_int_equal(r.method, HAKC_RANK_EXACT);
    double d = fabs(r.u - 312.5) - 0.5;
    near(r.p, erfc(d / sqrt(2 * 25.0 * 25 / 12 * 51)), 0.005);
    hakc_rank_test(x, 26, y, 26, &r);
    assert_int_equal(r.method, HAKC_RANK_NORMAL);
    /* three against three: 2 / C(6,3) is the least there is */
    double a[] = {1, 2, 3}, b[] = {4, 5, 6};
    hakc_rank_test(a, 3, b, 3, &r);
    near(r.p, 0.1, 1e-12);
}

static void test_ratio(void **state) {
    (void)state;
    double x[] = {10, 11, 12, 13, 14, 15, 16, 17, 18}, y[] = {20, 22, 24, 26, 28, 30, 32, 34, 36};
    struct hakc_ratio r;
    assert_int_equal(hakc_ratio_of_medians(x, 9, y, 9, 0.95, &r), 0);
    assert_true(r.has_ratio && r.has_ci);
    near(r.ratio, 0.5, 1e-12);
    /* 97.5 % of 9 values: second smallest to second largest (coverage 1 - 2 * 10/512 = 0.961) is
     * too little, so smallest to largest */
    near(r.low, 10.0 / 36, 1e-12);
    near(r.high, 18.0 / 20, 1e-12);
    assert_int_equal(hakc_ratio_of_medians(x, 3, y, 3, 0.95, &r), 0);
    assert_true(r.has_ratio && !r.has_ci);
    double zero[] = {0, 0, 0};
    hakc_ratio_of_medians(x, 3, zero, 3, 0.95, &r);
    assert_false(r.has_ratio);
    hakc_ratio_of_medians(x, 0, y, 3, 0.95, &r);
    assert_false(r.has_ratio);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_basics),
        cmocka_unit_test(test_median_interval),
        cmocka_unit_test(test_interval_of_many),
        cmocka_unit_test(test_rank_exact),
        cmocka_unit_test(test_rank_ties),
        cmocka_unit_test(test_rank_edges),
        cmocka_unit_test(test_ratio),
    };
    return cmocka_run_group_tests_name("stats", tests, NULL, NULL);
}
