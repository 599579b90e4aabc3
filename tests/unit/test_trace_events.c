/* Events and drops: written among records, read again, refused, checked, and not in the way of
 * those who read records alone. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <unistd.h>
#include <cmocka.h>
#include "tests/unit/trace_random.h"

enum { RECORDS = 30000, EVENTS = 9000 };

static char path[256];
static struct hakt_event wrote[EVENTS];

static struct hakt_event random_event(struct trace_random *g, uint64_t time) {
    struct hakt_event e = {.time = time, .thread = (uint32_t)(random_next(g) % 9)};
    e.kind = (uint16_t)(random_next(g) % 12);
    e.flags = random_next(g) % 5 == 0 ? HAKT_EVENT_FAILED : 0;
    for (uint64_t i = 0, n = random_next(g) % 5; i < n; i++)
        e.arg[i] = random_next(g) >> random_next(g) % 64;
    return e;
}

/* Records of five threads with events of nine between them, some before the first and some behind
 * the last record. */
static void write_trace(const struct hakt_rec *recs, size_t every, struct hakt_totals *totals) {
    struct hakt_writer *w;
    struct hakc_err err;
    struct hakt_info info = {.fidelity = HAKT_HAS_TIMES | HAKT_HAS_THREADS};
    struct trace_random g = {.state = 77};
    const struct hakt_thread_drops drops[] = {{3, 17}, {0, 1}};
    size_t put = 0;
    assert_int_equal(hakt_writer_open(&w, path, &info, 0, &err), 0);
    for (size_t i = 0; i <= RECORDS; i++) {
        uint64_t time = i == 0 ? 0 : recs[i - 1].time;
        size_t n = i == RECORDS ? EVENTS - put : random_next(&g) % 7 == 0 ? random_next(&g) % 4 : 0;
        for (; n > 0 && put < EVENTS; n--, put++) {
            wrote[put] = random_event(&g, time);
            wrote[put].record = i;
            assert_int_equal(hakt_write_event(w, &wrote[put], &err), 0);
        }
        if (i < RECORDS)
            assert_int_equal(hakt_write(w, &recs[i], &err), 0);
        if (every != 0 && i % every == every - 1)
            assert_int_equal(hakt_writer_flush(w, &err), 0);
    }
    struct hakt_totals end = {.dropped = 18, .exit_status = UINT32_MAX};
    hakt_writer_set_drops(w, drops, 2);
    assert_int_equal(hakt_writer_close(w, &end, totals, &err), 0);
}

static void expect_events(struct hakt_reader *r) {
    const struct hakt_event *e;
    for (size_t i = 0; i < EVENTS; i++) {
        assert_int_equal(hakt_reader_next_event(r, &e, NULL), 0);
        assert_non_null(e);
        assert_memory_equal(e, &wrote[i], sizeof(*e));
    }
    assert_int_equal(hakt_reader_next_event(r, &e, NULL), 0);
    assert_null(e);
}

static void test_round_trip(void **state) {
    (void)state;
    struct hakt_rec *recs = random_records(3, RECORDS, 5, 1);
    for (size_t every = 0; every <= 1000; every += 500) {
        struct hakt_totals totals, counted;
        struct hakt_reader *r;
        struct hakc_err err;
        const struct hakt_rec *got;
        size_t n, at = 0;
        write_trace(recs, every, &totals);
        assert_int_equal(totals.events, EVENTS);
        assert_int_equal(totals.threads, 9);
        assert_int_equal(hakt_verify(path, &counted, &err), 0);
        assert_int_equal(counted.events, EVENTS);
        assert_int_equal(hakt_reader_open(&r, path, &err), 0);
        expect_events(r);
        while (hakt_reader_next(r, &got, &n, &err) == 0 && n > 0) {
            assert_memory_equal(got, recs + at, n * sizeof(*got));
            at += n;
        }
        assert_int_equal(at, RECORDS);
        assert_int_equal(hakt_reader_rewind(r, &err), 0);
        expect_events(r);
        const struct hakt_thread_drops *drops = hakt_reader_drops(r, &n);
        assert_int_equal(n, 2);
        assert_int_equal(drops[0].thread, 3);
        assert_int_equal(drops[0].dropped, 17);
        assert_int_equal(drops[1].thread, 0);
        hakt_reader_close(r);
        unlink(path);
    }
    free(recs);
}

static void test_refuses(void **state) {
    (void)state;
    struct hakt_writer *w;
    struct hakt_info info = {.fidelity = HAKT_HAS_TIMES};
    const struct hakt_rec rec = {.op = HAKT_FREE, .time = 100},
                          early = {.op = HAKT_FREE, .time = 150};
    const struct hakt_event e = {.kind = HAKT_EV_BRK, .time = 200};
    assert_int_equal(hakt_writer_open(&w, path, &info, 0, NULL), 0);
    assert_int_equal(hakt_write(w, &rec, NULL), 0);
    assert_int_equal(hakt_write_event(w, &(struct hakt_event){.time = 99}, NULL), HAKC_EINTERNAL);
    assert_int_equal(
        hakt_write_event(w, &(struct hakt_event){.time = 100, .thread = 1u << 20}, NULL),
        HAKC_EINTERNAL);
    assert_int_equal(hakt_write_event(w, &e, NULL), 0);
    assert_int_equal(hakt_write(w, &early, NULL), HAKC_EINTERNAL); /* before the event */
    assert_int_equal(hakt_writer_close(w, NULL, NULL, NULL), 0);
    assert_int_equal(hakt_verify(path, NULL, NULL), 0);
    unlink(path);
}

/* A trace of events alone, and a file that is cut behind them. */
static void test_no_records(void **state) {
    (void)state;
    struct hakt_writer *w;
    struct hakt_reader *r;
    struct hakc_err err;
    const struct hakt_event *e;
    struct hakt_info info = {.fidelity = HAKT_HAS_TIMES};
    assert_int_equal(hakt_writer_open(&w, path, &info, 0, NULL), 0);
    assert_int_equal(
        hakt_write_event(w, &(struct hakt_event){.kind = HAKT_EV_EXEC, .thread = 4}, NULL), 0);
    assert_int_equal(hakt_writer_flush(w, NULL), 0);
    uint64_t bytes = hakt_writer_bytes(w);
    assert_int_equal(hakt_writer_close(w, NULL, NULL, NULL), 0);
    assert_int_equal(hakt_verify(path, NULL, &err), 0);
    assert_int_equal(truncate(path, (off_t)bytes + 50), 0);
    assert_int_equal(hakt_verify(path, NULL, &err), HAKC_ETRUNCATED);
    assert_int_equal(hakt_reader_open(&r, path, &err), 0);
    assert_int_equal(hakt_reader_next_event(r, &e, &err), 0);
    assert_non_null(e);
    assert_int_equal(e->kind, HAKT_EV_EXEC);
    assert_string_equal(hakt_event_name(e->kind), "exec");
    assert_int_equal(hakt_reader_next_event(r, &e, &err), 0);
    assert_null(e);
    hakt_reader_close(r);
    unlink(path);
}

static void test_names(void **state) {
    (void)state;
    assert_string_equal(hakt_event_name(HAKT_EV_MADVISE), "madvise");
    assert_string_equal(hakt_event_arg_name(HAKT_EV_MADVISE, 2), "advice");
    assert_null(hakt_event_arg_name(HAKT_EV_MADVISE, 3));
    assert_null(hakt_event_name(0));
    assert_null(hakt_event_name(1000));
    assert_null(hakt_event_arg_name(1000, 0));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_round_trip),
        cmocka_unit_test(test_refuses),
        cmocka_unit_test(test_no_records),
        cmocka_unit_test(test_names),
    };
    scratch_path(path, "events");
    return cmocka_run_group_tests(tests, NULL, NULL);
}
