/* What the writer refuses, and what it leaves behind when it cannot write. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <errno.h>
#include <signal.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>
#include <cmocka.h>
#include "tests/unit/trace_random.h"

static char path[256];

static void expect_refused(struct hakt_writer *w, struct hakt_rec rec) {
    struct hakc_err err;
    assert_int_equal(hakt_write(w, &rec, &err), HAKC_EINTERNAL);
}

static void test_refuses(void **state) {
    (void)state;
    struct hakt_writer *w;
    struct hakt_info info = {.fidelity = HAKT_HAS_TIMES};
    struct hakt_rec ok = {.op = HAKT_MALLOC, .id = 1, .size = 8, .time = 100};
    assert_int_equal(hakt_writer_open(&w, path, &info, 0, NULL), 0);
    assert_int_equal(hakt_writer_next_id(w), 1);
    assert_int_equal(hakt_write(w, &ok, NULL), 0);
    assert_int_equal(hakt_writer_next_id(w), 2);
    expect_refused(w, ok); /* its id again */
    expect_refused(w, (struct hakt_rec){.op = HAKT_MALLOC, .id = 3, .size = 8, .time = 100});
    expect_refused(w, (struct hakt_rec){.op = HAKT_MALLOC, .id = 2, .size = 8, .time = 99});
    expect_refused(w, (struct hakt_rec){.op = HAKT_MALLOC, .size = 8, .time = 100});
    expect_refused(w, (struct hakt_rec){.op = HAKT_MALLOC, .id = 2, .old_id = 1, .time = 100});
    expect_refused(w, (struct hakt_rec){.op = HAKT_FREE, .old_id = 2, .time = 100});
    expect_refused(w, (struct hakt_rec){.op = HAKT_FREE, .size = 1, .time = 100});
    expect_refused(w, (struct hakt_rec){.op = HAKT_OP_COUNT, .time = 100});
    expect_refused(
        w, (struct hakt_rec){.op = HAKT_FREE, .old_id = 1, .flags = HAKT_REC_FOREIGN, .time = 100});
    expect_refused(
        w, (struct hakt_rec){.op = HAKT_CALLOC, .id = 2, .flags = HAKT_REC_FAILED, .time = 100});
    expect_refused(w, (struct hakt_rec){.op = HAKT_MALLOC, .id = 2, .align_log2 = 4, .time = 100});
    expect_refused(w, (struct hakt_rec){.op = HAKT_THREAD_END, .thread = 1u << 20, .time = 100});
    /* none of that has changed the writer */
    struct hakt_rec next = {.op = HAKT_REALLOC, .id = 2, .old_id = 1, .size = 9, .time = 100};
    assert_int_equal(hakt_write(w, &next, NULL), 0);
    struct hakt_totals t;
    assert_int_equal(hakt_writer_close(w, NULL, &t, NULL), 0);
    assert_int_equal(t.records, 2);
    assert_int_equal(hakt_verify(path, NULL, NULL), 0);
    unlink(path);
}

static void test_no_times_no_time(void **state) {
    (void)state;
    struct hakt_writer *w;
    struct hakt_info info = {.fidelity = 0};
    assert_int_equal(hakt_writer_open(&w, path, &info, 0, NULL), 0);
    expect_refused(w, (struct hakt_rec){.op = HAKT_FREE, .time = 1});
    assert_int_equal(hakt_writer_close(w, NULL, NULL, NULL), 0);
    unlink(path);
}

static void test_open_fails(void **state) {
    (void)state;
    struct hakt_writer *w;
    struct hakt_info info = {0};
    struct hakc_err err;
    assert_int_equal(hakt_writer_open(&w, "/nonexistent/x.zst", &info, 0, &err), HAKC_ENOENT);
    assert_null(w);
    assert_int_equal(hakt_writer_open(&w, "/dev/full", &info, 0, &err), HAKC_EIO);
    assert_null(w);
    assert_int_equal(access("/dev/full", F_OK), 0);
}

/* A file that may not grow further: the trace is whole up to its last chunk, and says so. */
static void test_full(void **state) {
    (void)state;
    enum { PER_CHUNK = 500 };
    struct hakt_writer *w;
    struct hakt_info info = {.fidelity = HAKT_HAS_THREADS};
    struct hakc_err err;
    struct hakt_totals t, counted;
    struct rlimit old, limit;
    struct hakt_rec *recs = random_records(5, 20 * PER_CHUNK, 3, 0);
    size_t i = 0;
    int rc = 0;
    signal(SIGXFSZ, SIG_IGN);
    assert_int_equal(hakt_writer_open(&w, path, &info, 0, NULL), 0);
    assert_int_equal(getrlimit(RLIMIT_FSIZE, &old), 0);
    for (int chunk = 0; chunk < 20 && rc == 0; chunk++) {
        for (int k = 0; k < PER_CHUNK; k++)
            assert_int_equal(hakt_write(w, &recs[i++], &err), 0);
        if (chunk == 9) { /* the next chunk will be written in part */
            limit = old;
            limit.rlim_cur = hakt_writer_bytes(w) + 600;
            assert_int_equal(setrlimit(RLIMIT_FSIZE, &limit), 0);
        }
        rc = hakt_writer_flush(w, &err);
        assert_int_equal(rc != 0, chunk == 9);
    }
    assert_int_equal(rc, HAKC_EIO);
    assert_int_equal(err.sys_errno, EFBIG);
    assert_int_equal(hakt_write(w, &recs[i], &err), HAKC_EIO); /* given up */
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &old), 0);
    assert_int_equal(hakt_writer_close(w, NULL, &t, &err), HAKC_EIO);
    assert_int_equal(t.records, 9 * PER_CHUNK);
    assert_int_equal(t.dropped, PER_CHUNK);
    assert_int_equal(t.end_reason, HAKT_END_LIMIT);
    assert_int_equal(hakt_verify(path, &counted, &err), 0);
    assert_int_equal(counted.records, 9 * PER_CHUNK);
    free(recs);
    unlink(path);
}

/* Mallocs and frees of four threads, whose numbers take one byte to ten: as plain records they make
 * the very file that they make one by one. */
static void test_plain_is_the_same(void **state) {
    (void)state;
    enum { COUNT = 150000, BATCH = 1000 };
    static struct hakt_plain_rec plain[COUNT];
    static uint64_t live[COUNT], sizes[COUNT + 1];
    struct trace_random g = {.state = 77};
    struct hakt_info info = {.fidelity = HAKT_HAS_TIMES | HAKT_HAS_THREADS, .command = "x"};
    struct hakt_writer *w;
    uint64_t time = 0, next = 1, nlive = 0;
    char *bytes[2];
    size_t lengths[2];
    for (size_t i = 0; i < COUNT; i++) {
        uint64_t r = random_next(&g), thread = i / 7 % 4, k;
        time += r % 97 == 0 ? r >> 24 : r % 300;
        plain[i] = (struct hakt_plain_rec){
            .time = time, .thread = (uint32_t)thread, .is_free = r >> 40 & 1};
        if (plain[i].is_free && (r >> 41 & 63) != 0 && nlive > 0) {
            k = r >> 48 & 1 ? nlive - 1 : (r >> 8) % nlive;
            plain[i].id = live[k];
            plain[i].size = sizes[live[k]];
            live[k] = live[--nlive];
        } else if (!plain[i].is_free) {
            plain[i].id = live[nlive++] = next;
            plain[i].size = sizes[next++] = random_size(&g) >> 8;
        }
    }
    for (int way = 0; way < 2; way++) {
        assert_int_equal(hakt_writer_open(&w, path, &info, 0, NULL), 0);
        for (size_t i = 0; way == 0 && i < COUNT; i += BATCH)
            assert_int_equal(hakt_write_plain(w, &plain[i], BATCH, NULL), 0);
        for (size_t i = 0; way == 1 && i < COUNT; i++) {
            struct hakt_rec rec = {.time = plain[i].time, .thread = plain[i].thread};
            rec.op = plain[i].is_free ? HAKT_FREE : HAKT_MALLOC;
            rec.id = plain[i].is_free ? 0 : plain[i].id;
            rec.old_id = plain[i].is_free ? plain[i].id : 0;
            rec.size = plain[i].is_free ? 0 : plain[i].size;
            assert_int_equal(hakt_write_sized(w, &rec, plain[i].is_free ? plain[i].size : 0, NULL),
                             0);
        }
        assert_int_equal(hakt_writer_close(w, NULL, NULL, NULL), 0);
        FILE *f = fopen(path, "rb");
        assert_non_null(f);
        fseek(f, 0, SEEK_END);
        lengths[way] = (size_t)ftell(f);
        rewind(f);
        bytes[way] = malloc(lengths[way]);
        assert_int_equal(fread(bytes[way], 1, lengths[way], f), lengths[way]);
        fclose(f);
    }
    assert_int_equal(lengths[0], lengths[1]);
    assert_memory_equal(bytes[0], bytes[1], lengths[0]);
    assert_int_equal(hakt_verify(path, NULL, NULL), 0);
    free(bytes[0]);
    free(bytes[1]);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_refuses),           cmocka_unit_test(test_no_times_no_time),
        cmocka_unit_test(test_open_fails),        cmocka_unit_test(test_full),
        cmocka_unit_test(test_plain_is_the_same),
    };
    scratch_path(path, "writer");
    return cmocka_run_group_tests(tests, NULL, NULL);
}
