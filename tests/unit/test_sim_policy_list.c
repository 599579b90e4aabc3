/* The list of policies that --policy takes. */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "sim/sim.h"

/* Parses a list and writes the canonical strings, separated by '|'. */
static void expect(const char *text, const char *want) {
    struct hakp_spec *list = NULL;
    struct hakc_err err = {0};
    size_t n = 0;
    char got[800] = "";
    if (haks_policy_list(text, &list, &n, &err) != 0)
        fail_msg("%s: %s", text, err.msg);
    for (size_t i = 0; i < n; i++) {
        if (i > 0)
            strcat(got, "|");
        hakp_format(&list[i], got + strlen(got), sizeof got - strlen(got));
    }
    free(list);
    assert_string_equal(got, want);
}

static void test_lists(void **state) {
    (void)state;
    expect("never", "never");
    expect("never,eager,partial:100,partial:10", "never|eager|partial:n=100|partial:n=10");
    expect("partial:n=10,how=free,eager", "partial:n=10,how=free|eager");
    expect("partial:10,how=free,min=1M,partial:how=unmap,n=3,never",
           "partial:n=10,how=free,min=1MiB|partial:n=3,how=unmap|never");
    expect("eager:how=free,eager:how=free,eager", "eager:how=free|eager");
    expect("partial,partial:100,partial:n=100", "partial:n=100");
}

static void test_sweeps(void **state) {
    (void)state;
    expect("decay:ms=1..20*2", "decay:ms=1|decay:ms=2|decay:ms=4|decay:ms=8|decay:ms=16");
    expect("partial:n=10..30+10", "partial:n=10|partial:n=20|partial:n=30");
    expect("partial:10..31+10", "partial:n=10|partial:n=20|partial:n=30");
    expect("partial:5..5+1", "partial:n=5");
    expect("eager|never", "eager|never");
    expect("delay|decay:ms=1|1s", "delay:ms=1|delay:ms=1000|decay:ms=1|decay:ms=1000");
    expect("partial:n=1|2,how=dontneed|free,never",
           "partial:n=1|partial:n=1,how=free|partial:n=2|partial:n=2,how=free|never");
    expect("delay:ms=100us..1s*100", "delay:ms=100us|delay:ms=10|delay:ms=1000");
    expect("delay:ms=1,max=1MiB..4MiB*2",
           "delay:ms=1,max=1MiB|delay:ms=1,max=2MiB|delay:ms=1,max=4MiB");
    expect("delay:ms=1,max=512K..2M*2",
           "delay:ms=1,max=512KiB|delay:ms=1,max=1MiB|delay:ms=1,max=2MiB");
    expect("partial:1..4*1.25", "partial:n=1|partial:n=2|partial:n=3|partial:n=4");
    expect("partial:1|1..2+1|2", "partial:n=1|partial:n=2");
}

/* A factor's rounding does not add up: 1.5^k to the nearest. */
static void test_factor_is_exact(void **state) {
    (void)state;
    struct hakp_spec *list = NULL;
    size_t n = 0;
    double v = 1;
    assert_int_equal(haks_policy_list("partial:1..100000*1.5", &list, &n, NULL), 0);
    for (size_t i = 0; i < n; i++) {
        while (i > 0 && (uint64_t)(v + 0.5) == list[i - 1].n)
            v *= 1.5;
        assert_in_range(list[i].n, (uint64_t)(v * 0.9999), (uint64_t)(v * 1.0001 + 1));
        v *= 1.5;
    }
    assert_int_equal(n, 28); /* 1.5^28 = 85,223; 1.5 and 1.5^2 round to the same */
    free(list);
}

static void test_large_sweep(void **state) {
    (void)state;
    struct hakp_spec *list = NULL;
    size_t n = 0;
    assert_int_equal(haks_policy_list("partial:n=1..200000+1,how=dontneed|free", &list, &n, NULL),
                     0);
    assert_int_equal(n, 400000);
    assert_int_equal(list[399999].n, 200000);
    assert_int_equal(list[399999].how, HAKP_FREE);
    free(list);
}

static void test_rejects_ranges(void **state) {
    (void)state;
    static const struct {
        const char *text, *names;
    } bad[] = {
        {"decay:ms=1..10", "\"1..10\""},
        {"decay:ms=10..1*2", "below its start"},
        {"decay:ms=1..10*1", "above 1"},
        {"decay:ms=1..10*0.5", "above 1"},
        {"decay:ms=0..10*2", "start above 0"},
        {"decay:ms=1..10+0", "step"},
        {"decay:ms=1..10s*2", "unit"},
        {"decay:ms=1ms..1MiB*2", "unit"},
        {"decay:ms=a..b*2", "whole numbers"},
        {"decay:ms=1.5..3*2", "whole numbers"},
        {"decay:ms=1..10*2x", "factor"},
        {"decay:ms=1|", "empty"},
        {"decay:ms=|1", "empty"},
        {"partial:n=1..2000000+1", "1000000"},
        {"partial:n=1..2000+1,max=1..2000+1", "1000000"},
        {"decay:ms=1..10*2,what=3", "what"},
    };
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        struct hakp_spec *list = NULL;
        struct hakc_err err = {0};
        size_t n = 0;
        if (haks_policy_list(bad[i].text, &list, &n, &err) != HAKC_EUSAGE)
            fail_msg("accepted: %s", bad[i].text);
        if (strstr(err.msg, bad[i].names) == NULL || strncmp(err.msg, "--policy: ", 10) != 0)
            fail_msg("%s: %s", bad[i].text, err.msg);
        free(list);
    }
}

static void test_adds_to_a_list(void **state) {
    (void)state;
    struct hakp_spec *list = NULL;
    size_t n = 0;
    assert_int_equal(haks_policy_list("eager", &list, &n, NULL), 0);
    assert_int_equal(haks_policy_list("never,eager", &list, &n, NULL), 0);
    assert_int_equal(n, 2);
    assert_int_equal(list[0].kind, HAKP_EAGER);
    assert_int_equal(list[1].kind, HAKP_NEVER);
    free(list);
}

static void test_rejects(void **state) {
    (void)state;
    static const char *const bad[] = {"",
                                      ",",
                                      "eager,",
                                      ",eager",
                                      "eager,,never",
                                      "how=free",
                                      "eager,how=free",
                                      "eager:how=free,what=3",
                                      "never,sometimes"};
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        struct hakp_spec *list = NULL;
        struct hakc_err err = {0};
        size_t n = 0;
        if (haks_policy_list(bad[i], &list, &n, &err) != HAKC_EUSAGE)
            fail_msg("accepted: %s", bad[i]);
        assert_non_null(strstr(err.msg, "--policy"));
        free(list);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_lists),           cmocka_unit_test(test_sweeps),
        cmocka_unit_test(test_factor_is_exact), cmocka_unit_test(test_large_sweep),
        cmocka_unit_test(test_rejects_ranges),  cmocka_unit_test(test_adds_to_a_list),
        cmocka_unit_test(test_rejects)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
