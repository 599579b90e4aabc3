/* Android's text: every operation and edge, with and without times, and what is no such text. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>
#include <cmocka.h>
#include <zstd.h>
#include "tests/unit/trace_random.h"
#include "tracer/import.h"

static char input[256], output[256];
static struct hakt_import_result result;
static struct hakc_err err;

static void put_input(const void *p, size_t n) {
    FILE *f = fopen(input, "wb");
    assert_non_null(f);
    assert_int_equal(fwrite(p, 1, n, f), n);
    assert_int_equal(fclose(f), 0);
}

static int import_text(const char *text) {
    put_input(text, strlen(text));
    return hakt_import_android(input, output, 0, 1, &result, &err);
}

static void expect(const struct hakt_rec *want, size_t n, uint32_t fidelity) {
    struct hakt_reader *r;
    const struct hakt_rec *got;
    size_t k;
    assert_int_equal(hakt_verify(output, NULL, &err), 0);
    assert_int_equal(hakt_reader_open(&r, output, &err), 0);
    assert_int_equal(hakt_reader_info(r)->fidelity, fidelity);
    assert_int_equal(hakt_reader_next(r, &got, &k, &err), 0);
    assert_int_equal(k, n);
    for (size_t i = 0; i < n; i++)
        assert_memory_equal(&got[i], &want[i], sizeof(*got));
    hakt_reader_close(r);
}

#define CLAIMS (HAKT_HAS_THREADS | HAKT_EXACT_SIZES | HAKT_EXACT_IDS | HAKT_IMPORTED)

static void test_every_op(void **state) {
    (void)state;
    assert_int_equal(import_text("186: malloc 0xb6027400 1024\n"
                                 "186: calloc 0x1000 3 5\r\n"
                                 "7: realloc 0x2000 0xb6027400 12\n"
                                 "7: realloc 0x2000 0x2000 90\n"
                                 "7: realloc 0x3000 0x0 4\n"
                                 "7: realloc 0x4000 0xdead 4\n"
                                 "7: realloc 0x0 0x4000 0\n"
                                 "7: realloc 0x0 0x3000 99\n"
                                 "\n"
                                 "9: memalign 0x5000 4096 64\n"
                                 "9: malloc 0x0 77\n"
                                 "9: malloc 0x0 0\n"
                                 "9: calloc 0x0 18446744073709551615 2\n"
                                 "9: free 0x0\n"
                                 "9: free 0xdead\n"
                                 "186: free 0x5000\n"
                                 "9: thread_done 0x0\n"
                                 "9: free 0x3000"),
                     0);
    const struct hakt_rec want[] = {
        {.op = HAKT_MALLOC, .id = 1, .size = 1024},
        {.op = HAKT_CALLOC, .id = 2, .size = 15},
        {.op = HAKT_REALLOC, .id = 3, .old_id = 1, .size = 12, .thread = 1},
        {.op = HAKT_REALLOC, .id = 4, .old_id = 3, .size = 90, .thread = 1},
        {.op = HAKT_REALLOC, .id = 5, .size = 4, .thread = 1},
        {.op = HAKT_REALLOC, .id = 6, .size = 4, .thread = 1, .flags = HAKT_REC_FOREIGN},
        {.op = HAKT_REALLOC, .old_id = 6, .thread = 1},
        {.op = HAKT_REALLOC, .old_id = 5, .size = 99, .thread = 1, .flags = HAKT_REC_FAILED},
        {.op = HAKT_MEMALIGN, .id = 7, .size = 64, .align_log2 = 12, .thread = 2},
        {.op = HAKT_MALLOC, .size = 77, .thread = 2, .flags = HAKT_REC_FAILED},
        {.op = HAKT_MALLOC, .thread = 2},
        {.op = HAKT_CALLOC, .size = UINT64_MAX, .thread = 2, .flags = HAKT_REC_FAILED},
        {.op = HAKT_FREE, .thread = 2},
        {.op = HAKT_FREE, .thread = 2, .flags = HAKT_REC_FOREIGN},
        {.op = HAKT_FREE, .old_id = 7},
        {.op = HAKT_THREAD_END, .thread = 2},
        {.op = HAKT_FREE, .old_id = 5, .thread = 3}, /* the tid was given out again */
    };
    expect(want, sizeof(want) / sizeof(*want), CLAIMS);
    assert_int_equal(result.implied, 0);
    assert_int_equal(result.totals.foreign, 2);
}

static void test_missing_free(void **state) {
    (void)state;
    assert_int_equal(import_text("1: malloc 0x10 5\n2: malloc 0x10 6\n1: free 0x10\n"), 0);
    const struct hakt_rec want[] = {
        {.op = HAKT_MALLOC, .id = 1, .size = 5},
        {.op = HAKT_FREE, .old_id = 1, .thread = 1, .flags = HAKT_REC_IMPLIED},
        {.op = HAKT_MALLOC, .id = 2, .size = 6, .thread = 1},
        {.op = HAKT_FREE, .old_id = 2},
    };
    expect(want, 4, CLAIMS);
    assert_int_equal(result.implied, 1);
}

/* Calls that overlap: thread 2's malloc starts first and gets what thread 1 gives up meanwhile. */
static void test_times(void **state) {
    (void)state;
    assert_int_equal(import_text("1: malloc 0x10 5 1000 1010\n"
                                 "2: malloc 0x10 6 1100 1200\n"
                                 "1: realloc 0x20 0x10 50 1150 1300\n"
                                 "1: free 0x20 1400 1401\n"),
                     0);
    const struct hakt_rec want[] = {
        {.op = HAKT_MALLOC, .id = 1, .size = 5, .time = 10},
        {.op = HAKT_MALLOC, .id = 2, .size = 6, .thread = 1, .time = 200},
        {.op = HAKT_REALLOC, .id = 3, .old_id = 1, .size = 50, .time = 300},
        {.op = HAKT_FREE, .old_id = 3, .time = 400},
    };
    expect(want, 4, CLAIMS | HAKT_HAS_TIMES);
    assert_int_equal(result.implied, 0);
}

static void test_what_is_no_text(void **state) {
    (void)state;
    static const char *const broken[] = {
        "malloc 0x10 5\n",
        "1: malloc 0x10\n",
        "1: malloc 0x10 5 6 7 8\n",
        "1: malloc 0x10 x\n",
        "1: malloc 0x 5\n",
        "1: malloc 0x10 99999999999999999999999\n",
        "1: calloc 0x10 18446744073709551615 2\n",
        "1: frobnicate 0x10 5\n",
        "1: malloc 0x10 5 100 99\n",
        "1: malloc 0x10 5 100 101\n1: free 0x10\n",
        "99999999999999999999999: free 0x0\n",
    };
    for (size_t i = 0; i < sizeof(broken) / sizeof(*broken); i++) {
        char text[256];
        snprintf(text, sizeof(text), "%s%s", i == 9 ? "" : "1: free 0x0\n", broken[i]);
        assert_int_equal(import_text(text), HAKC_ECORRUPT);
        assert_true(err.has_offset);
        assert_int_equal(err.offset, i == 9 ? 25 : 12);
        assert_non_null(strstr(err.msg, "line 2"));
    }
    char longer[9000];
    memset(longer, '1', sizeof(longer));
    put_input(longer, sizeof(longer));
    assert_int_equal(hakt_import_android(input, output, 0, 1, &result, &err), HAKC_ECORRUPT);
    put_input("1: free 0x0\0\n", 13);
    assert_int_equal(hakt_import_android(input, output, 0, 1, &result, &err), HAKC_ECORRUPT);
}

static void test_compressed(void **state) {
    (void)state;
    enum { LINES = 30000 };
    char *text = malloc(LINES * 64), *p = text;
    for (int i = 0; i < LINES; i++)
        p += sprintf(p, "%d: malloc 0x%x %d\n", i % 10, 0x1000 + i * 16, i);
    size_t n = (size_t)(p - text), cap = ZSTD_compressBound(n);
    char *packed = malloc(cap);
    size_t size = ZSTD_compress(packed, cap, text, n, 3);
    put_input(packed, size);
    assert_int_equal(hakt_import_android(input, output, 0, 1, &result, &err), 0);
    assert_int_equal(result.totals.ops, LINES);
    assert_int_equal(hakt_verify(output, NULL, &err), 0);
    put_input(packed, size - 5);
    assert_int_equal(hakt_import_android(input, output, 0, 1, &result, &err), HAKC_ETRUNCATED);
    packed[size / 2] ^= 0x10;
    put_input(packed, size);
    assert_int_not_equal(hakt_import_android(input, output, 0, 1, &result, &err), 0);
    free(text);
    free(packed);
}

static int tear_down(void **state) {
    (void)state;
    unlink(input);
    unlink(output);
    return 0;
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_every_op),   cmocka_unit_test(test_missing_free),
        cmocka_unit_test(test_times),      cmocka_unit_test(test_what_is_no_text),
        cmocka_unit_test(test_compressed),
    };
    scratch_path(input, "import-in");
    scratch_path(output, "import-out");
    return cmocka_run_group_tests(tests, NULL, tear_down);
}
