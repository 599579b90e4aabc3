/* Variants: what --alloc and --policy mean. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>
#include "replay/variant.h"

/* Any file will do for a library here: nothing is loaded. */
#define LIB "/proc/self/exe"

static void add(struct hakr_variants *v, const char *text) {
    struct hakc_err err = {0};
    memset(v, 0, sizeof *v);
    if (hakr_variants_add(v, text, &err) != 0)
        fail_msg("%s: %s", text, err.msg);
}

static void test_list(void **state) {
    (void)state;
    struct hakr_variants v;
    add(&v, "libc,mine=" LIB ",libc");
    assert_int_equal(v.n, 3);
    assert_string_equal(v.at[0].name, "libc");
    assert_null(v.at[0].path);
    assert_null(v.at[0].env);
    assert_string_equal(v.at[1].name, "mine");
    assert_true(v.at[1].path[0] == '/' && v.at[1].ino != 0);
    hakr_variants_free(&v);
}

/* Commas and colons inside a value stay there; an allocator's name ends it. */
static void test_environment(void **state) {
    (void)state;
    struct hakr_variants v;
    add(&v, "libc:A=x:1,y:2;B=3,libc,mine=" LIB ":C=4,5");
    assert_int_equal(v.n, 3);
    assert_string_equal(v.at[0].name, "libc:A=x:1,y:2;B=3");
    assert_string_equal(v.at[0].env[0], "A=x:1,y:2");
    assert_string_equal(v.at[0].env[1], "B=3");
    assert_null(v.at[0].env[2]);
    assert_string_equal(v.at[0].env_text, "A=x:1,y:2 B=3");
    assert_null(v.at[1].env);
    assert_string_equal(v.at[2].name, "mine:C=4,5");
    assert_string_equal(v.at[2].env[0], "C=4,5");
    hakr_variants_free(&v);
}

static void expect_error(const char *text, int code, const char *word) {
    struct hakr_variants v = {0};
    struct hakc_err err = {0};
    assert_int_equal(hakr_variants_add(&v, text, &err), code);
    if (strstr(err.msg, word) == NULL)
        fail_msg("%s: '%s' does not name %s", text, err.msg, word);
    hakr_variants_free(&v);
}

static void test_errors(void **state) {
    (void)state;
    expect_error("nosuch", HAKC_EUSAGE, "nosuch");
    expect_error("libc,,libc", HAKC_EUSAGE, "''");
    expect_error("", HAKC_EUSAGE, "''");
    expect_error("libc,other", HAKC_EUSAGE, "other");
    expect_error("libc:NOVALUE", HAKC_EUSAGE, "NOVALUE");
    expect_error("libc:=x", HAKC_EUSAGE, "=x");
    expect_error("mine=/no/such/lib.so", HAKC_ENOENT, "/no/such/lib.so");
}

static void test_policies(void **state) {
    (void)state;
    struct hakr_variants v;
    struct hakc_err err = {0};
    const char *list[] = {"never,partial:n=8,how=free,eager"};
    add(&v, "hakmem=" LIB ":X=1,libc");
    assert_int_equal(hakr_variants_cross(&v, list, 1, &err), 0);
    assert_int_equal(v.n, 4);
    assert_string_equal(v.at[0].policy, "never");
    assert_string_equal(v.at[0].env[0], "HAKMEM_POLICY=never");
    assert_string_equal(v.at[0].env[1], "X=1");
    assert_null(v.at[0].env[2]);
    assert_non_null(strstr(v.at[1].policy, "partial"));
    assert_non_null(strstr(v.at[1].policy, "free"));
    assert_string_equal(v.at[2].policy, "eager");
    assert_string_equal(v.at[3].name, "libc");
    assert_null(v.at[3].policy);

    const char *bad[] = {"sometimes"};
    assert_int_equal(hakr_variants_cross(&v, bad, 1, &err), HAKC_EUSAGE);
    assert_non_null(strstr(err.msg, "sometimes"));
    hakr_variants_free(&v);
    add(&v, "libc");
    assert_int_equal(hakr_variants_cross(&v, list, 1, &err), HAKC_EUSAGE);
    hakr_variants_free(&v);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_list),
        cmocka_unit_test(test_environment),
        cmocka_unit_test(test_errors),
        cmocka_unit_test(test_policies),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
