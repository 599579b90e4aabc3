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
    char got[400] = "";
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
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_lists),
                                       cmocka_unit_test(test_adds_to_a_list),
                                       cmocka_unit_test(test_rejects)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
