#include <stdarg.h>
#include <setjmp.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <string.h>
#include "common/progress.h"
#include "common/units.h"

struct good {
    const char *text;
    uint64_t value;
};
typedef int parser(const char *, uint64_t *, struct hakc_err *);

static void check_good(parser *parse, const struct good *g) {
    for (; g->text; g++) {
        uint64_t v = 99;
        struct hakc_err err;
        if (parse(g->text, &v, &err) != HAKC_OK)
            fail_msg("'%s': %s", g->text, err.msg);
        if (v != g->value)
            fail_msg("'%s' gave %llu", g->text, (unsigned long long)v);
    }
}

/* Refused with a sentence that quotes the text, and the result is left alone. */
static void check_bad(parser *parse, const char *const *bad) {
    for (; *bad; bad++) {
        uint64_t v = 99;
        struct hakc_err err = {0};
        if (parse(*bad, &v, &err) != HAKC_EUSAGE)
            fail_msg("'%s' was taken as %llu", *bad, (unsigned long long)v);
        assert_int_equal(v, 99);
        assert_non_null(strstr(err.msg, *bad));
        assert_int_equal(parse(*bad, &v, NULL), HAKC_EUSAGE);
    }
}

static void test_bytes(void **state) {
    (void)state;
    static const struct good good[] = {{"0", 0},
                                       {"4096", 4096},
                                       {"1B", 1},
                                       {"64KiB", 65536},
                                       {"10MB", 10000000},
                                       {"1kB", 1000},
                                       {"2GB", 2000000000},
                                       {"1K", 1024},
                                       {"1k", 1024},
                                       {"3M", 3u << 20},
                                       {"1G", 1u << 30},
                                       {"1T", 1ull << 40},
                                       {"1.5KiB", 1536},
                                       {"0.5K", 512},
                                       {"64 KiB", 65536},
                                       {"007", 7},
                                       {"18446744073709551615", UINT64_MAX},
                                       {"15.5GiB", 31ull << 29},
                                       {"16777215TiB", 16777215ull << 40},
                                       {NULL, 0}};
    static const char *const bad[] = {"",
                                      "K",
                                      "x",
                                      "-1",
                                      "+1",
                                      "1KiBx",
                                      "1 KiB ",
                                      "1kib",
                                      "1MBs",
                                      "0x10",
                                      "1e3",
                                      "1.",
                                      ".5K",
                                      "1.0.0K",
                                      "0.3B",
                                      "0.3KiB",
                                      "18446744073709551616",
                                      "16777216TiB",
                                      "18014398509481985K",
                                      " 1",
                                      "1\n",
                                      "1.0000000000000001K",
                                      NULL};
    check_good(hakc_parse_bytes, good);
    check_bad(hakc_parse_bytes, bad);
}

static void test_durations(void **state) {
    (void)state;
    static const struct good good[] = {{"0", 0},
                                       {"0s", 0},
                                       {"5ns", 5},
                                       {"5us", 5000},
                                       {"10ms", 10000000},
                                       {"1s", 1000000000},
                                       {"0.1s", 100000000},
                                       {"2m", 120000000000},
                                       {"1h", 3600000000000},
                                       {"5124095h", 5124095ull * 3600000000000},
                                       {NULL, 0}};
    static const char *const bad[] = {"",    "10",   "ms",       "10 min",       "10S", "0.1ns",
                                      "-1s", "1ms1", "5124096h", "18446744074s", NULL};
    check_good(hakc_parse_duration, good);
    check_bad(hakc_parse_duration, bad);
}

static void test_counts(void **state) {
    (void)state;
    static const struct good good[] = {{"0", 0},        {"17", 17},        {"10k", 10000},
                                       {"1M", 1000000}, {"1.5M", 1500000}, {"2G", 2000000000},
                                       {NULL, 0}};
    static const char *const bad[] = {
        "", "1Ki", "1KiB", "1.5", "-3", "1e6", "18446744073709551616", NULL};
    check_good(hakc_parse_count, good);
    check_bad(hakc_parse_count, bad);
}

static void test_format(void **state) {
    (void)state;
    char b[HAKC_UNIT_LEN];
    assert_string_equal(hakc_format_bytes(b, 0), "0 B");
    assert_string_equal(hakc_format_bytes(b, 1023), "1023 B");
    assert_string_equal(hakc_format_bytes(b, 1024), "1.00 KiB");
    assert_string_equal(hakc_format_bytes(b, 1536), "1.50 KiB");
    assert_string_equal(hakc_format_bytes(b, 1048575), "1.00 MiB"); /* not 1024 KiB */
    assert_string_equal(hakc_format_bytes(b, 123456789), "118 MiB");
    assert_string_equal(hakc_format_bytes(b, UINT64_MAX), "16.0 EiB");
    assert_string_equal(hakc_format_duration(b, 999), "999 ns");
    assert_string_equal(hakc_format_duration(b, 1000), "1.00 us");
    assert_string_equal(hakc_format_duration(b, 999999), "1.00 ms");
    assert_string_equal(hakc_format_duration(b, 12345678), "12.3 ms");
    assert_string_equal(hakc_format_duration(b, 59400000000), "59.4 s");
    assert_string_equal(hakc_format_duration(b, 125000000000), "2 m 05 s");
    assert_string_equal(hakc_format_duration(b, 59999600000000), "16 h 40 m");
    assert_string_equal(hakc_format_duration(b, UINT64_MAX), "5124095 h 34 m");
    assert_string_equal(hakc_format_count(b, 999), "999");
    assert_string_equal(hakc_format_count(b, 9996000), "10.0 M");
    assert_string_equal(hakc_format_rate(b, 122400000, 1000000000, "ops"), "122 Mops/s");
    assert_string_equal(hakc_format_rate(b, 5, 0, "ops"), "-");
}

static void test_progress_text(void **state) {
    (void)state;
    char b[128];
    struct hakc_progress p = {.label = "replay", .unit = "ops", .total = 1000};
    hakc_progress_text(&p, 250, 1000000000, 100, b, sizeof b);
    assert_string_equal(b, "replay  25 %  250 ops  250 ops/s  left 3.00 s");
    hakc_progress_text(&p, 0, 0, 100, b, sizeof b);
    assert_string_equal(b, "replay   0 %  0 ops  -");
    p.total = 0;
    hakc_progress_text(&p, 2000, 1000000000, 100, b, sizeof b);
    assert_string_equal(b, "replay 2.00 k ops  2.00 kops/s");
    hakc_progress_text(&p, 2000, 1000000000, 10, b, sizeof b);
    assert_string_equal(b, "replay 2.0");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_bytes),         cmocka_unit_test(test_durations),
        cmocka_unit_test(test_counts),        cmocka_unit_test(test_format),
        cmocka_unit_test(test_progress_text),
    };
    return cmocka_run_group_tests_name("units", tests, NULL, NULL);
}
