/* --fail-if: what breaks a limit, over experiments whose figures are known. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>
#include "replay/limits.h"

#define RUNS 6
#define OPS  1000u

/* Two variants of RUNS time runs each, of so many ns an op. */
static struct hakr_run runs[2 * RUNS];
static struct hakr_plan plan;
static struct hakr_variants variants;
static struct hakr_variant both[2];
static struct hakr_experiment experiment;

static void measure(const double base[RUNS], const double other[RUNS]) {
    memset(runs, 0, sizeof runs);
    plan.stats.ops = OPS;
    variants = (struct hakr_variants){both, 2};
    for (size_t i = 0; i < (size_t)2 * RUNS; i++) {
        double x = i % 2 == 0 ? base[i / 2] : other[i / 2];
        runs[i].variant = i % 2;
        runs[i].result.wall_ns = (uint64_t)(x * OPS);
    }
    experiment = (struct hakr_experiment){
        .plan = &plan, .variants = &variants, .runs = runs, .n_runs = (size_t)2 * RUNS};
}

static const char *judge(const char *limit_text, double *ratio) {
    struct hakr_limit limit;
    struct hakc_err err;
    assert_int_equal(hakr_limit_parse(limit_text, &limit, &err), 0);
    struct hakr_compared c = hakr_compare(&experiment, 1, 0, limit.pass, limit.figure);
    enum hakr_limit_verdict v = hakr_limit_verdict(&limit, &c);
    int breaks = v != HAKR_LIMIT_HELD && v != HAKR_LIMIT_NOT_COMPARED;
    assert_int_equal(hakr_limits_broken(&experiment, 0, &limit, 1), breaks);
    if (ratio != NULL)
        *ratio = c.ratio;
    return hakr_limit_word(v);
}

static void test_speed(void **state) {
    (void)state;
    double ratio;
    measure((double[]){10, 11, 12, 13, 14, 15}, (double[]){20, 21, 22, 23, 24, 25});
    assert_string_equal(judge("slower=3%", &ratio), "failed");
    assert_true(ratio > 1.79 && ratio < 1.81);
    assert_string_equal(judge("slower=79%", NULL), "failed");
    assert_string_equal(judge("slower=81%", NULL), "held");
    /* quicker is no failure, however far */
    measure((double[]){20, 21, 22, 23, 24, 25}, (double[]){10, 11, 12, 13, 14, 15});
    assert_string_equal(judge("slower=0%", NULL), "held");
    /* slower by the medians, but the runs lie among each other: chance would do */
    measure((double[]){10, 30, 12, 28, 14, 26}, (double[]){11, 31, 27, 29, 13, 25});
    assert_string_equal(judge("slower=3%", &ratio), "held");
    assert_true(ratio > 1.2);
    /* one wild run moves neither median nor verdict */
    measure((double[]){10, 11, 12, 13, 14, 15}, (double[]){10, 11, 12, 13, 14, 5000});
    assert_string_equal(judge("slower=1%", &ratio), "held");
    assert_true(ratio == 1);
}

/* The edges: p just not below 0.05, a ratio within the limit, none at all. */
static void test_edges(void **state) {
    (void)state;
    struct hakr_limit l;
    struct hakc_err err;
    assert_int_equal(hakr_limit_parse("slower=3%", &l, &err), 0);
    assert_true(l.pass == HAKR_PASS_TIME && l.share > 0.0299 && l.share < 0.0301);
    struct hakr_compared c = {.has = 1, .ratio = 1.04, .p = 0.01};
    assert_int_equal(hakr_limit_verdict(&l, &c), HAKR_LIMIT_FAILED);
    c.p = 0.05;
    assert_int_equal(hakr_limit_verdict(&l, &c), HAKR_LIMIT_HELD);
    c = (struct hakr_compared){.has = 1, .ratio = 1.02, .p = 0.001};
    assert_int_equal(hakr_limit_verdict(&l, &c), HAKR_LIMIT_HELD);
    c = (struct hakr_compared){.ratio = 9, .p = 0.001};
    assert_int_equal(hakr_limit_verdict(&l, &c), HAKR_LIMIT_NOT_COMPARED);
    c = (struct hakr_compared){.unlike = 1};
    assert_int_equal(hakr_limit_verdict(&l, &c), HAKR_LIMIT_UNLIKE);
}

static void test_not_judged(void **state) {
    (void)state;
    measure((double[]){10, 11, 12, 13, 14, 15}, (double[]){20, 21, 22, 23, 24, 25});
    runs[3].result.failed = 7; /* one refused allocations */
    runs[5].result.failed = runs[7].result.failed = runs[9].result.failed = 7;
    assert_string_equal(judge("slower=900%", NULL), "failed: different work");
    measure((double[]){10, 11, 12, 13, 14, 15}, (double[]){20, 21, 22, 23, 24, 25});
    runs[7].result.status = HAKR_CRASHED; /* a run failed: exit code 1, no ratio */
    assert_string_equal(judge("slower=0%", NULL), "not-compared");
    measure((double[]){0, 0, 0, 0, 0, 0}, (double[]){1, 1, 1, 1, 1, 1});
    assert_string_equal(judge("slower=900%", NULL), "failed: nothing in the baseline");
    measure((double[]){0, 0, 0, 0, 0, 0}, (double[]){0, 0, 0, 0, 0, 0});
    assert_string_equal(judge("slower=0%", NULL), "held"); /* as much as the baseline: nothing */
    assert_string_equal(judge("bigger=0%", NULL), "not-compared"); /* no account pass */
}

static void test_parse(void **state) {
    (void)state;
    static const char *const wrong[] = {"",         "slower",      "slower=",   "slower=3",
                                        "slower=%", "slower=-3%",  "slow=3%",   "slower=3%%",
                                        "=3%",      "slower=nan%", "slower= 3%"};
    struct hakr_limit limit;
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        struct hakc_err err = {0};
        assert_int_equal(hakr_limit_parse(wrong[i], &limit, &err), HAKC_EUSAGE);
        assert_non_null(strstr(err.msg, wrong[i]));
    }
    struct hakc_err err = {0};
    assert_int_equal(hakr_limit_parse("peak=2.5%", &limit, &err), 0);
    assert_true(limit.pass == HAKR_PASS_ACCOUNT && limit.share == 0.025);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_speed),
        cmocka_unit_test(test_edges),
        cmocka_unit_test(test_not_judged),
        cmocka_unit_test(test_parse),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
