/* What is written is read again, record by record; seeking; the totals. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <unistd.h>
#include <cmocka.h>
#include "tests/unit/trace_random.h"

static char path[256];

static void write_trace(const struct hakt_rec *recs, size_t n, uint32_t fidelity,
                        size_t flush_every, struct hakt_totals *totals) {
    struct hakt_writer *w;
    struct hakc_err err;
    struct hakt_info info = {.fidelity = fidelity,
                             .start_unix_ns = 1764000000123456789ull,
                             .page_size = 4096,
                             .pid = 4711,
                             .command = "prog --name=\"a\\b\" line\nbreak \x7f end=1",
                             .host = "box",
                             .clock = "tsc",
                             .tool = "test 1",
                             .source = ""};
    assert_int_equal(hakt_writer_open(&w, path, &info, 0, &err), 0);
    for (size_t i = 0; i < n; i++) {
        assert_int_equal(hakt_write(w, &recs[i], &err), 0);
        if (flush_every != 0 && i % flush_every == flush_every - 1)
            assert_int_equal(hakt_writer_flush(w, &err), 0);
    }
    struct hakt_totals end = {.end_reason = HAKT_END_KILLED, .exit_status = 9, .dropped = 3};
    assert_int_equal(hakt_writer_close(w, &end, totals, &err), 0);
}

/* Reads from where the reader stands; the first record must be recs[at]. */
static void expect_records(struct hakt_reader *r, const struct hakt_rec *recs, size_t at,
                           size_t n) {
    const struct hakt_rec *got;
    struct hakc_err err;
    size_t k;
    do {
        assert_int_equal(hakt_reader_next(r, &got, &k, &err), 0);
        assert_true(at + k <= n);
        for (size_t i = 0; i < k; i++)
            assert_memory_equal(&got[i], &recs[at + i], sizeof(*got));
        at += k;
    } while (k > 0);
    assert_int_equal(at, n);
}

/* The same in parts of up to `most`, from the first record on. */
static void expect_parts(struct hakt_reader *r, const struct hakt_rec *recs, size_t n,
                         size_t most) {
    struct hakt_rec *got = malloc(most * sizeof(*got));
    struct hakc_err err;
    size_t k, at = 0;
    assert_int_equal(hakt_reader_rewind(r, &err), 0);
    do {
        assert_int_equal(hakt_reader_next_part(r, got, most, &k, &err), 0);
        assert_true(k <= most && at + k <= n);
        assert_memory_equal(got, &recs[at], k * sizeof(*got));
        at += k;
    } while (k > 0);
    assert_int_equal(at, n);
    free(got);
}

static void one_round(uint64_t seed, size_t n, uint32_t threads, int times, size_t flush_every) {
    struct hakt_rec *recs = random_records(seed, n, threads, times);
    struct hakt_totals totals, counted;
    struct hakt_reader *r;
    struct hakc_err err;
    int rebuilt;
    write_trace(recs, n, HAKT_HAS_THREADS | (times ? HAKT_HAS_TIMES : 0), flush_every, &totals);
    assert_int_equal(hakt_reader_open(&r, path, &err), 0);
    expect_records(r, recs, 0, n);
    assert_int_equal(hakt_reader_rewind(r, &err), 0);
    expect_records(r, recs, 0, n);
    expect_parts(r, recs, n, 1000);
    expect_parts(r, recs, n, 7);
    assert_memory_equal(hakt_reader_totals(r, &rebuilt), &totals, sizeof(totals));
    assert_int_equal(rebuilt, 0);
    assert_int_equal(totals.records, n);
    assert_int_equal(totals.dropped, 3);
    assert_int_equal(totals.end_reason, HAKT_END_KILLED);
    assert_int_equal(totals.exit_status, 9);
    assert_int_equal(hakt_verify(path, &counted, &err), 0);
    assert_int_equal(counted.peak_live_bytes, totals.peak_live_bytes);
    assert_int_equal(counted.ops, totals.ops);
    hakt_reader_close(r);
    free(recs);
    unlink(path);
}

static void test_streams(void **state) {
    (void)state;
    one_round(1, 0, 1, 0, 0);
    one_round(2, 1, 1, 1, 0);
    one_round(3, 1000, 1, 0, 1);
    one_round(4, 50000, 7, 1, 999);
    one_round(5, HAKT_CHUNK_MAX, 3, 1, 0);
    one_round(6, 2 * HAKT_CHUNK_MAX + 1, 1, 1, 0);
    one_round(7, HAKT_CHUNK_MAX + 12345, 400, 0, 0);
    one_round(8, 30000, 20000, 1, 7000);
}

static void test_info_strings(void **state) {
    (void)state;
    struct hakt_reader *r;
    struct hakc_err err;
    write_trace(NULL, 0, HAKT_HAS_TIMES | HAKT_WHOLE_LIFE | HAKT_EXACT_IDS, 0, NULL);
    assert_int_equal(hakt_reader_open(&r, path, &err), 0);
    const struct hakt_info *i = hakt_reader_info(r);
    assert_string_equal(i->command, "prog --name=\"a\\b\" line\nbreak \x7f end=1");
    assert_string_equal(i->host, "box");
    assert_string_equal(i->clock, "tsc");
    assert_string_equal(i->tool, "test 1");
    assert_string_equal(i->source, "");
    assert_int_equal(i->version, 1);
    assert_int_equal(i->fidelity, HAKT_HAS_TIMES | HAKT_WHOLE_LIFE | HAKT_EXACT_IDS);
    assert_int_equal(i->start_unix_ns, 1764000000123456789ull);
    assert_int_equal(i->page_size, 4096);
    assert_int_equal(i->pid, 4711);
    hakt_reader_close(r);
    unlink(path);
}

/* Seeking by record and time against a search in the array. */
static void test_seek(void **state) {
    (void)state;
    enum { N = 40000, EVERY = 1000 };
    struct hakt_rec *recs = random_records(11, N, 5, 1);
    struct hakt_reader *r;
    struct hakc_err err;
    uint64_t first;
    write_trace(recs, N, HAKT_HAS_THREADS | HAKT_HAS_TIMES, EVERY, NULL);
    assert_int_equal(hakt_reader_open(&r, path, &err), 0);
    for (size_t want = 0; want < N; want += 777) {
        assert_int_equal(hakt_reader_seek_record(r, want, &first, &err), 0);
        assert_int_equal(first, want / EVERY * EVERY);
        expect_records(r, recs, first, N);
    }
    for (size_t k = 0; k < N; k += 911) {
        size_t at = 0; /* the first record at or after this time */
        while (recs[at].time < recs[k].time)
            at++;
        assert_int_equal(hakt_reader_seek_time(r, recs[k].time, &first, &err), 0);
        assert_int_equal(first, at / EVERY * EVERY);
        expect_records(r, recs, first, N);
    }
    assert_int_equal(hakt_reader_seek_record(r, N, &first, &err), 0);
    assert_int_equal(first, N);
    expect_records(r, recs, N, N);
    assert_int_equal(hakt_reader_seek_time(r, recs[N - 1].time + 1, &first, &err), 0);
    expect_records(r, recs, N, N);
    hakt_reader_close(r);
    free(recs);
    unlink(path);
}

/* The totals of a stream small enough to count by hand. */
static void test_totals(void **state) {
    (void)state;
    const struct hakt_rec recs[] = {
        {.op = HAKT_THREAD_START},
        {.op = HAKT_MALLOC, .id = 1, .size = 100},
        {.op = HAKT_MALLOC, .id = 2, .size = 50},
        {.op = HAKT_REALLOC, .old_id = 1, .id = 3, .size = 10},
        {.op = HAKT_REALLOC, .old_id = 3, .size = 1000, .flags = HAKT_REC_FAILED},
        {.op = HAKT_FREE, .old_id = 2, .thread = 1},
        {.op = HAKT_FREE, .flags = HAKT_REC_FOREIGN},
        {.op = HAKT_FREE},
        {.op = HAKT_CALLOC, .size = UINT64_MAX, .flags = HAKT_REC_FAILED},
        {.op = HAKT_REALLOC, .old_id = 3, .size = 0},
        {.op = HAKT_MEMALIGN, .id = 4, .size = 64, .align_log2 = 12},
    };
    struct hakt_totals t;
    write_trace(recs, sizeof(recs) / sizeof(*recs), HAKT_HAS_THREADS, 4, &t);
    assert_int_equal(t.records, 11);
    assert_int_equal(t.ops, 10);
    assert_int_equal(t.allocs, 4);
    assert_int_equal(t.frees, 3);
    assert_int_equal(t.threads, 2);
    assert_int_equal(t.chunks, 3);
    assert_int_equal(t.foreign, 1);
    assert_int_equal(t.peak_live_bytes, 150);
    assert_int_equal(t.peak_live_objects, 2);
    assert_int_equal(t.live_at_end, 1);
    assert_int_equal(t.ops_by_kind[HAKT_REALLOC], 3);
    unlink(path);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_streams),
        cmocka_unit_test(test_info_strings),
        cmocka_unit_test(test_seek),
        cmocka_unit_test(test_totals),
    };
    scratch_path(path, "roundtrip");
    return cmocka_run_group_tests(tests, NULL, NULL);
}
