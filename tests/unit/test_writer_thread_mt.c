/* A writer with a thread of its own writes the very file that one without does; also under TSan. */
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <unistd.h>
#include <cmocka.h>
#include "tests/unit/trace_random.h"

#define RECORDS 300000

static void write_file(const char *path, int threaded) {
    struct trace_random g = {.state = 11, .threads = 5, .times = 1, .next_id = 1};
    struct hakt_info info = {.fidelity = HAKT_HAS_TIMES | HAKT_HAS_THREADS};
    struct hakt_writer *w;
    struct hakt_rec rec;
    struct hakt_totals totals;
    assert_int_equal(hakt_writer_open(&w, path, &info, 1, NULL), 0);
    if (threaded)
        assert_int_equal(hakt_writer_use_thread(w), 0);
    for (uint32_t i = 0; i < RECORDS; i++) {
        rec = random_record(&g);
        assert_int_equal(hakt_write(w, &rec, NULL), 0);
        if (i % 1000 == 0) {
            struct hakt_event e = {.kind = HAKT_EV_FORK, .time = rec.time, .arg = {i}};
            assert_int_equal(hakt_write_event(w, &e, NULL), 0);
        }
        if (i % 50000 == 7)
            assert_int_equal(hakt_writer_flush(w, NULL), 0);
        if (i % 10000 == 0)
            assert_true(hakt_writer_bytes(w) > 0);
    }
    assert_int_equal(hakt_writer_close(w, NULL, &totals, NULL), 0);
    assert_int_equal(totals.records, RECORDS);
    free(g.live);
}

static void the_same_file(void **state) {
    char one[] = "/tmp/hak-writer-XXXXXX", other[] = "/tmp/hak-writer-XXXXXX", a[65], b[65];
    (void)state;
    close(mkstemp(one));
    close(mkstemp(other));
    write_file(one, 0);
    write_file(other, 1);
    assert_int_equal(hakt_file_hash(one, a, NULL), 0);
    assert_int_equal(hakt_file_hash(other, b, NULL), 0);
    assert_string_equal(a, b);
    assert_int_equal(hakt_verify(other, NULL, NULL), 0);
    unlink(one);
    unlink(other);
}

/* The disk is full: the error shows, and what was not written counts as lost. */
static void a_full_disk(void **state) {
    struct hakt_info info = {.fidelity = HAKT_HAS_THREADS};
    struct hakt_totals totals;
    struct hakt_writer *w;
    uint64_t taken = 0;
    (void)state;
    char path[] = "/tmp/hak-writer-XXXXXX";
    struct rlimit limit, before;
    close(mkstemp(path));
    signal(SIGXFSZ, SIG_IGN);
    getrlimit(RLIMIT_FSIZE, &before);
    limit = before;
    limit.rlim_cur = 20000;
    assert_int_equal(hakt_writer_open(&w, path, &info, 1, NULL), 0);
    assert_int_equal(hakt_writer_use_thread(w), 0);
    setrlimit(RLIMIT_FSIZE, &limit);
    for (uint64_t i = 1; i < 1000000 && taken == 0; i++) {
        struct hakt_rec rec = {.op = HAKT_MALLOC, .id = i, .size = i * 2654435761u % 100000};
        if (hakt_write(w, &rec, NULL) != 0)
            taken = i; /* with the one whose chunk did not fit */
    }
    assert_true(taken > HAKT_CHUNK_MAX);
    assert_int_equal(hakt_writer_close(w, NULL, &totals, NULL), HAKC_EIO);
    setrlimit(RLIMIT_FSIZE, &before);
    unlink(path);
    assert_int_equal(totals.records + totals.dropped, taken);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_same_file),
        cmocka_unit_test(a_full_disk),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
