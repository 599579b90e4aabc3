/* The importers of recordings without threads and times: numbers, what is refused with which line,
 * and which object a free means. The samples in tests/golden have the rest. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>
#include <cmocka.h>
#include "tracer/import_plain.h"

static char input[64], output[64];
static struct hakt_import_result result;
static struct hakc_err err;

static int import(hakt_import_fn *f, const char *text) {
    FILE *file = fopen(input, "w");
    assert_non_null(file);
    assert_int_equal(fwrite(text, 1, strlen(text), file), strlen(text));
    assert_int_equal(fclose(file), 0);
    return f(input, output, 1, 1, &result, &err);
}

static void expect_refusal(hakt_import_fn *f, const char *text, const char *line) {
    assert_int_equal(import(f, text), HAKC_ECORRUPT);
    if (strstr(err.msg, line) == NULL)
        fail_msg("'%s' does not name '%s'", err.msg, line);
}

/* Record n of the trace written. */
static struct hakt_rec record(size_t n) {
    struct hakt_reader *r;
    const struct hakt_rec *recs;
    struct hakt_rec rec;
    size_t count;
    assert_int_equal(hakt_verify(output, NULL, &err), 0);
    assert_int_equal(hakt_reader_open(&r, output, &err), 0);
    assert_int_equal(hakt_reader_next(r, &recs, &count, &err), 0);
    assert_true(n < count);
    rec = recs[n];
    hakt_reader_close(r);
    return rec;
}

static void numbers(void **state) {
    uint64_t v;
    const char *rest;
    (void)state;
    assert_non_null(rest = hakt_plain_number("18446744073709551615  x", 10, &v));
    assert_string_equal(rest, "x");
    assert_true(v == UINT64_MAX);
    assert_null(hakt_plain_number("18446744073709551616", 10, &v));
    assert_non_null(hakt_plain_number("0xFf", 16, &v));
    assert_int_equal(v, 255);
    assert_non_null(hakt_plain_number("0", 16, &v));
    assert_null(hakt_plain_number("0x", 16, &v));
    assert_null(hakt_plain_number("", 10, &v));
    assert_null(hakt_plain_number("-1", 10, &v));
    assert_null(hakt_plain_number("1f", 10, &v));
    assert_null(hakt_plain_number("10000000000000000", 16, &v));
}

static void rep_refusals(void **state) {
    (void)state;
    expect_refusal(hakt_import_rep, "", "line 0");
    expect_refusal(hakt_import_rep, "1\n2\n3\n", "four header lines");
    expect_refusal(hakt_import_rep, "1\n2\nx\n1\n", "line 3");
    expect_refusal(hakt_import_rep, "1\n1\n1\n1\na 1 8\n", "line 5");
    expect_refusal(hakt_import_rep, "1\n1\n2\n1\na 0 8\na 0 8\n", "line 6");
    expect_refusal(hakt_import_rep, "1\n1\n1\n1\na 0 8\nf 0\n", "more ops");
    expect_refusal(hakt_import_rep, "1\n1\n1\n1\na 0 8 9\n", "line 5");
    expect_refusal(hakt_import_rep, "1\n1\n1\n1\na 0 18446744073709551615\n", "impossible");
}

static void mtrace_meanings(void **state) {
    (void)state;
    assert_int_equal(import(hakt_import_mtrace, "+ 0x10 0x8\n@ /a b - c + 0x20 0x9\n- 0x20\n"), 0);
    assert_int_equal(record(1).size, 9);
    assert_int_equal(record(2).old_id, 2);
    assert_int_equal(import(hakt_import_mtrace, "@ x < 0x10\n@ x > 0x20 0x9\n"), 0);
    assert_int_equal(record(0).flags, HAKT_REC_FOREIGN);
    assert_int_equal(record(0).id, 1);
    expect_refusal(hakt_import_mtrace, "@ x > 0x20 0x9\n", "line 1");
    expect_refusal(hakt_import_mtrace, "@ x < 0x1\n= End\n@ x - 0x1\n", "line 3");
    expect_refusal(hakt_import_mtrace, "@ x + 0x20\n", "line 1");
}

static void heaptrack_frees_the_latest_of_its_class(void **state) {
    (void)state;
    assert_int_equal(
        import(hakt_import_heaptrack, "v 1 3\na 8 1\na 9 1\n+ 0\n+ 1\n+ 0\n- 0\n- 0\n"), 0);
    assert_int_equal(record(3).old_id, 3);
    assert_int_equal(record(4).old_id, 1);
    expect_refusal(hakt_import_heaptrack, "v 1 3\n+ 0\n", "line 2");
    expect_refusal(hakt_import_heaptrack, "v 1 3\nz\n", "line 2");
}

static void formats_by_their_first_line(void **state) {
    static const char *const first[][2] = {{"20000\n4\n", "rep"},
                                           {"= Start\n", "mtrace"},
                                           {"@ a.out:[0x1] + 0x10 0x8\n", "mtrace"},
                                           {"v 10400 3\n", "heaptrack"},
                                           {"186: malloc 0x10 8\n", "android"}};
    const struct hakt_import_format *f;
    (void)state;
    for (size_t i = 0; i < sizeof(first) / sizeof(*first); i++) {
        import(hakt_import_android, first[i][0]);
        assert_int_equal(hakt_import_detect(input, &f, &err), 0);
        assert_string_equal(f->name, first[i][1]);
    }
    import(hakt_import_android, "v \n");
    assert_int_equal(hakt_import_detect(input, &f, &err), HAKC_EUSAGE);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(numbers),
        cmocka_unit_test(rep_refusals),
        cmocka_unit_test(mtrace_meanings),
        cmocka_unit_test(heaptrack_frees_the_latest_of_its_class),
        cmocka_unit_test(formats_by_their_first_line),
    };
    snprintf(input, sizeof(input), "/tmp/test_import_plain.%d.in", (int)getpid());
    snprintf(output, sizeof(output), "/tmp/test_import_plain.%d.out", (int)getpid());
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    unlink(input);
    unlink(output);
    return failed;
}
