/* What libraries answer to the question whether they know a setting: replay/knobs_int.h. The texts
 * are those of mimalloc 2.0.9, 2.4.1 and 3.4.3, jemalloc 5.3.0 and glibc 2.36. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>
#include "replay/knobs_int.h"

#define LIST_2_0                                                                                   \
    "mimalloc: option 'verbose': 1\nmimalloc: option 'decommit_delay': 25\n"                       \
    "mimalloc: option 'page_reset': 0\nmimalloc: option 'deprecated_segment_cache': 0\n"
#define LIST_3_4                                                                                   \
    "option 'verbose': 1 \noption 'purge_delay': 1000 \noption 'arena_reserve': 65536 KiB\n"

static void expect_mimalloc(const char *name, const char *without, const char *with,
                            enum hakr_knob_verdict verdict, const char *told) {
    struct hakr_knob k = {0};
    hakr_knob_mimalloc(&k, name, without, with);
    assert_string_equal(hakr_knob_word(k.verdict), hakr_knob_word(verdict));
    assert_string_equal(k.told, told);
}

static void test_mimalloc(void **state) {
    (void)state;
    expect_mimalloc("MIMALLOC_FOO", LIST_2_0, LIST_2_0, HAKR_KNOB_UNKNOWN, "");
    /* a later version's name */
    expect_mimalloc("MIMALLOC_PURGE_DELAY", LIST_2_0, LIST_2_0, HAKR_KNOB_UNKNOWN, "");
    /* listed as deprecated alone: it does nothing any more */
    expect_mimalloc("MIMALLOC_SEGMENT_CACHE", LIST_2_0, LIST_2_0, HAKR_KNOB_UNKNOWN, "");
    expect_mimalloc("MIMALLOC_DECOMMIT_DELAY", LIST_2_0, LIST_2_0, HAKR_KNOB_IN_FORCE,
                    "'decommit_delay': 25"); /* the default by name */
    expect_mimalloc("MIMALLOC_PAGE_RESET", LIST_2_0,
                    "mimalloc: option 'verbose': 1\nmimalloc: option 'page_reset': 1\n",
                    HAKR_KNOB_IN_FORCE, "'page_reset': 1");
    /* an older name of a setting */
    expect_mimalloc("MIMALLOC_RESET_DELAY", LIST_2_0,
                    "mimalloc: warning: environment option \"mimalloc_reset_delay\" is deprecated "
                    "-- use \"mimalloc_decommit_delay\" instead.\n"
                    "mimalloc: option 'decommit_delay': 0\n",
                    HAKR_KNOB_IN_FORCE, "'decommit_delay': 0");
    expect_mimalloc("MIMALLOC_RESET_DELAY", LIST_2_0,
                    "mimalloc: warning: environment option \"mimalloc_reset_delay\" is deprecated "
                    "-- use \"mimalloc_decommit_delay\" instead.\n" LIST_2_0,
                    HAKR_KNOB_IN_FORCE, "by an older name of the setting");
    expect_mimalloc("MIMALLOC_PURGE_DELAY", LIST_3_4,
                    "option 'verbose': 1 \noption 'purge_delay': 0 \n", HAKR_KNOB_IN_FORCE,
                    "'purge_delay': 0");
    expect_mimalloc("MIMALLOC_PURGE_DELAY", LIST_3_4,
                    "mimalloc: warning: environment option mimalloc_purge_delay has an invalid "
                    "value.\n" LIST_3_4,
                    HAKR_KNOB_REFUSED, "mimalloc: invalid value");
    /* its name without the prefix is not read */
    expect_mimalloc("PURGE_DELAY", LIST_3_4, LIST_3_4, HAKR_KNOB_UNKNOWN,
                    "mimalloc's variables begin with MIMALLOC_");
    expect_mimalloc("MIMALLOC_PURGE_DELAY", "nothing of the kind\n", "nothing of the kind\n",
                    HAKR_KNOB_UNCHECKED, "this mimalloc does not list its options");
}

static void expect_jemalloc(const char *pair, const char *printed, const char *word) {
    struct hakr_knob k = {0};
    hakr_knob_jemalloc(&k, pair, printed);
    assert_string_equal(hakr_knob_word(k.verdict), word);
}

static void test_jemalloc(void **state) {
    (void)state;
    static const char printed[] =
        "<jemalloc>: malloc_conf #4 (value of the environment variable MALLOC_CONF): "
        "\"confirm_conf:true,dirty_decay_ms:0,foo:1,muzzy_decay_ms:abc,narenas:0\"\n"
        "<jemalloc>: -- Set conf value: confirm_conf:true\n"
        "<jemalloc>: -- Set conf value: dirty_decay_ms:0\n"
        "<jemalloc>: Invalid conf pair: foo:1\n"
        "<jemalloc>: Invalid conf value: muzzy_decay_ms:abc\n"
        "<jemalloc>: Out-of-range conf value: narenas:0\n";
    expect_jemalloc("dirty_decay_ms:0", printed, "in-force");
    expect_jemalloc("dirty_decay_ms:00", printed, "unknown"); /* not a word about it */
    expect_jemalloc("dirty_decay_ms:", printed, "unknown");
    expect_jemalloc("foo:1", printed, "unknown");
    expect_jemalloc("muzzy_decay_ms:abc", printed, "refused");
    expect_jemalloc("narenas:0", printed, "refused");
    /* a jemalloc that does not know confirm_conf, one that does not read the variable, bad syntax
     */
    expect_jemalloc("dirty_decay_ms:0", "<jemalloc>: Invalid conf pair: confirm_conf:true\n",
                    "known");
    expect_jemalloc("foo:1",
                    "<jemalloc>: Invalid conf pair: foo:1\n"
                    "<jemalloc>: Invalid conf pair: confirm_conf:true\n",
                    "unknown");
    expect_jemalloc("dirty_decay_ms:0", "", "unknown");
    expect_jemalloc("dirty", "<jemalloc>: Malformed conf string\n", "refused");
}

static void expect_tunable(const char *pair, const char *with, const char *word) {
    static const char without[] =
        "glibc.rtld.nns: 0x4 (min: 0x1, max: 0x10)\n"
        "glibc.malloc.arena_max: 0x0 (min: 0x1, max: 0xffffffffffffffff)\n"
        "glibc.malloc.trim_threshold: 0x0 (min: 0x0, max: 0xffffffffffffffff)\n";
    struct hakr_knob k = {0};
    hakr_knob_tunable(&k, pair, without, with != NULL ? with : without);
    assert_string_equal(hakr_knob_word(k.verdict), word);
}

static void test_tunables(void **state) {
    (void)state;
    expect_tunable("glibc.malloc.arena_max=2",
                   "glibc.malloc.arena_max: 0x2 (min: 0x1, max: 0xffffffffffffffff)\n", "in-force");
    expect_tunable("glibc.malloc.trim_threshold=0", NULL, "in-force"); /* what it is anyway */
    expect_tunable("glibc.malloc.trim_threshold=abc", NULL, "refused");
    expect_tunable("glibc.malloc.arena_max=0x", NULL, "refused");
    expect_tunable("glibc.rtld.nns=99", NULL, "refused"); /* above its greatest */
    expect_tunable("glibc.malloc.foo=1", NULL, "unknown");
    expect_tunable("glibc.malloc.arena=1", NULL, "unknown"); /* the beginning of a name */
    expect_tunable("malloc.arena_max=1", NULL, "unknown");   /* its end */
    struct hakr_knob k = {0};
    hakr_knob_tunable(&k, "glibc.malloc.arena_max=2", "", "");
    assert_int_equal(k.verdict, HAKR_KNOB_UNCHECKED);
}

static void test_warnings(void **state) {
    (void)state;
    char text[400];
    struct hakr_knob k = {.setting = (char *)(uintptr_t) "A=1", .verdict = HAKR_KNOB_IN_FORCE};
    assert_false(hakr_knob_warning(&k, text, sizeof text));
    k.verdict = HAKR_KNOB_UNKNOWN;
    assert_true(hakr_knob_warning(&k, text, sizeof text));
    assert_string_equal(text, "A=1 is not a setting that this library knows: it changes nothing");
    k.verdict = HAKR_KNOB_UNCHECKED;
    strcpy(k.told, "exit code 7");
    assert_true(hakr_knob_warning(&k, text, sizeof text));
    assert_string_equal(text, "A=1 could not be checked (exit code 7)");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_mimalloc),
        cmocka_unit_test(test_jemalloc),
        cmocka_unit_test(test_tunables),
        cmocka_unit_test(test_warnings),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
