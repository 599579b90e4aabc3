/*
 * All the damage that one byte or bit can do to a small trace, and what a crafted block header can
 * ask for: whatever is read is a prefix of the truth or comes with an error that names a place, and
 * the memory taken is bounded by the limits of the format, not by what a header says.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>
#include <cmocka.h>
#include "tests/unit/trace_random.h"
#include "tracer/format/block.h"
#include "tracer/format/chunk.h"
#include "tracer/format/varint.h"

enum { RECORDS = 90, EVENTS = 12, EVERY = 40 };
static char path[64];
static int fd; /* of the file at `path`, in memory */
static struct hakt_rec *truth;
static struct hakt_event true_events[EVENTS];
static uint8_t *whole;
static size_t whole_size, header_end;
static size_t block_at[16];
static size_t blocks;

static void put_file(const uint8_t *p, size_t n) {
    assert_int_equal(ftruncate(fd, 0), 0);
    assert_int_equal(pwrite(fd, p, n, 0), n);
}

static int write_trace(void) {
    struct hakt_writer *w;
    struct hakt_info info = {.fidelity = HAKT_HAS_TIMES | HAKT_HAS_THREADS, .command = "x"};
    const struct hakt_thread_drops drops = {2, 5};
    if (hakt_writer_open(&w, path, &info, 0, NULL) != 0)
        return -1;
    for (size_t i = 0, e = 0; i < RECORDS; i++) {
        if (hakt_write(w, &truth[i], NULL) != 0)
            return -1;
        if (i % 8 == 3 && e < EVENTS) {
            true_events[e] = (struct hakt_event){.time = truth[i].time,
                                                 .record = i + 1,
                                                 .kind = (uint16_t)(1 + e % 6),
                                                 .thread = e % 3,
                                                 .arg = {0x7f0000000000 + e * 4096, 4096 * e, 3}};
            if (hakt_write_event(w, &true_events[e++], NULL) != 0)
                return -1;
        }
        if (i % EVERY == EVERY - 1 && hakt_writer_flush(w, NULL) != 0)
            return -1;
    }
    hakt_writer_set_drops(w, &drops, 1);
    return hakt_writer_close(w, NULL, NULL, NULL);
}

static int set_up(void **state) {
    (void)state;
    struct hakt_block b;
    const char *why;
    size_t at = 0;
    truth = random_records(4, RECORDS, 5, 1);
    fd = memfd_create("trace", MFD_CLOEXEC);
    snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
    if (fd < 0 || write_trace() != 0)
        return -1;
    whole_size = (size_t)lseek(fd, 0, SEEK_END);
    whole = malloc(whole_size);
    if (pread(fd, whole, whole_size, 0) != (ssize_t)whole_size)
        return -1;
    while (at + HAKT_TAIL_SIZE < whole_size && hakt_block_get(whole + at, &b, &why) == 0) {
        block_at[blocks++] = at;
        at += HAKT_BLOCK_HEAD + b.frame_bytes;
    }
    header_end = block_at[1];
    return at + HAKT_TAIL_SIZE == whole_size ? 0 : -1;
}

static int tear_down(void **state) {
    (void)state;
    free(truth);
    free(whole);
    return close(fd);
}

/* What can be had of the file: all that comes must be the truth from its start. */
struct reading {
    size_t records, events;
    int code, event_code, rebuilt;
    struct hakc_err err;
};

static struct reading read_file(void) {
    struct reading got = {0};
    struct hakt_reader *r;
    const struct hakt_rec *recs;
    const struct hakt_event *e;
    size_t n;
    got.code = hakt_reader_open(&r, path, &got.err);
    if (got.code != 0)
        return got;
    hakt_reader_totals(r, &got.rebuilt);
    while ((got.event_code = hakt_reader_next_event(r, &e, &got.err)) == 0 && e != NULL) {
        assert_true(got.events < EVENTS);
        assert_memory_equal(e, &true_events[got.events++], sizeof(*e));
    }
    if (got.event_code != 0)
        assert_true(got.err.has_offset);
    while ((got.code = hakt_reader_next(r, &recs, &n, &got.err)) == 0 && n > 0) {
        assert_true(got.records + n <= RECORDS);
        assert_memory_equal(recs, truth + got.records, n * sizeof(*recs));
        got.records += n;
    }
    if (got.code != 0)
        assert_true(got.err.has_offset);
    hakt_reader_close(r);
    return got;
}

static void test_whole(void **state) {
    (void)state;
    put_file(whole, whole_size);
    struct reading got = read_file();
    assert_int_equal(got.code, 0);
    assert_int_equal(got.records, RECORDS);
    assert_int_equal(got.events, EVENTS - 1);
    assert_int_equal(got.rebuilt, 0);
    assert_int_equal(hakt_verify(path, NULL, NULL), 0);
}

static void test_every_cut(void **state) {
    (void)state;
    struct hakc_err err;
    for (size_t cut = 0; cut < whole_size; cut++) {
        put_file(whole, cut);
        struct reading got = read_file();
        assert_true(got.code != 0 ? cut < header_end : cut >= header_end);
        assert_int_equal(hakt_verify(path, NULL, &err), HAKC_ETRUNCATED);
        assert_true(err.has_offset && err.offset <= cut);
    }
}

static void test_every_byte_lost(void **state) {
    (void)state;
    struct hakc_err err;
    uint8_t *bad = malloc(whole_size);
    for (size_t lost = 0; lost < whole_size; lost++) {
        memcpy(bad, whole, lost);
        memcpy(bad + lost, whole + lost + 1, whole_size - lost - 1);
        put_file(bad, whole_size - 1);
        struct reading got = read_file();
        assert_true(got.records == RECORDS || got.code != 0 || got.rebuilt);
        int rc = hakt_verify(path, NULL, &err);
        assert_true(rc == HAKC_ECORRUPT || rc == HAKC_ETRUNCATED);
        assert_true(err.has_offset && err.offset < whole_size);
    }
    free(bad);
}

static void test_every_flip(void **state) {
    (void)state;
    struct hakc_err err;
    uint8_t *bad = malloc(whole_size);
    memcpy(bad, whole, whole_size);
    for (size_t i = 0; i < whole_size * 8; i++) {
        bad[i / 8] ^= (uint8_t)(1u << i % 8);
        put_file(bad, whole_size);
        struct reading got = read_file();
        assert_true(got.records == RECORDS || got.code != 0 || got.rebuilt);
        assert_true(got.events == EVENTS - 1 || got.event_code != 0 || got.code != 0 ||
                    got.rebuilt);
        int rc = hakt_verify(path, NULL, &err);
        assert_true(rc == HAKC_ECORRUPT || rc == HAKC_ETRUNCATED);
        assert_true(err.has_offset && err.offset < whole_size);
        bad[i / 8] ^= (uint8_t)(1u << i % 8);
    }
    free(bad);
}

/* 2 = memory ran out; else 0 or 1, sound or not. */
static int read_all(void) {
    struct hakt_reader *r;
    struct hakc_err err;
    const struct hakt_rec *recs;
    const struct hakt_event *e;
    size_t n;
    int rc = hakt_reader_open(&r, path, &err), rc2 = 0;
    if (rc == 0) {
        while ((rc = hakt_reader_next(r, &recs, &n, &err)) == 0 && n > 0)
            ;
        while ((rc2 = hakt_reader_next_event(r, &e, &err)) == 0 && e != NULL)
            ;
        hakt_reader_close(r);
    }
    if (rc == 0)
        rc = hakt_verify(path, NULL, &err);
    return rc == HAKC_ENOMEM || rc2 == HAKC_ENOMEM ? 2 : rc != 0;
}

#ifdef __SANITIZE_ADDRESS__ /* whose shadow takes terabytes of address space: no limit then */
static int read_bounded(uint64_t bytes) {
    (void)bytes;
    return read_all();
}
#else
/* In a child that may map only so much more. */
static int read_bounded(uint64_t bytes) {
    fflush(stdout);
    pid_t pid = fork();
    if (pid == 0) {
        unsigned long pages = 0;
        FILE *statm = fopen("/proc/self/statm", "r");
        if (statm == NULL || fscanf(statm, "%lu", &pages) != 1)
            _exit(3);
        fclose(statm);
        struct rlimit limit = {pages * 4096 + bytes, pages * 4096 + bytes};
        _exit(setrlimit(RLIMIT_AS, &limit) != 0 ? 3 : read_all());
    }
    int status;
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_true(WIFEXITED(status));
    return WEXITSTATUS(status);
}
#endif

/* Every number of every block header says something monstrous, with the right checksum. */
static void test_headers_that_ask_for_memory(void **state) {
    (void)state;
    static const uint64_t values[] = {0,          1,          131072,     131073,
                                      1ull << 20, 8454144,    1ull << 32, (1ull << 32) - 1,
                                      1ull << 62, UINT64_MAX, 1ull << 47};
    uint8_t *bad = malloc(whole_size);
    for (size_t b = 0; b < blocks; b++) {
        for (size_t field = 16; field < 96; field += 4) {
            for (size_t v = 0; v < sizeof(values) / sizeof(*values); v++) {
                uint8_t *head = bad + block_at[b];
                memcpy(bad, whole, whole_size);
                if (field < 24)
                    hakt_put_u32(head + field, (uint32_t)values[v]);
                else if (field % 8 == 0)
                    hakt_put_u64(head + field, values[v]);
                else
                    continue;
                hakt_put_u32(head + 100, hakt_crc32(head, 100));
                put_file(bad, whole_size);
                /* A chunk of 2^17 records, its content, and what zstd takes */
                assert_in_range(read_bounded(24u << 20), 0, 1);
            }
        }
    }
    free(bad);
}

/* A chunk of two mallocs of one thread, with this schedule: what decoding it says, as a whole, and
 * in parts of one record. */
static int decode_with_schedule(const uint8_t *schedule, uint8_t n) {
    static const uint8_t ops[] = {HAKT_MALLOC, HAKT_MALLOC}, sizes[] = {9, 9};
    const uint8_t head[] = {4,
                            HAKT_COL_THREADS,
                            HAKT_ENC_VARINT,
                            4, /* thread 0: 2 records, */
                            HAKT_COL_SCHEDULE,
                            HAKT_ENC_VARINT,
                            n, /* 2 bytes of sizes */
                            HAKT_COL_OP,
                            HAKT_ENC_BYTES,
                            2,
                            HAKT_COL_SIZE,
                            HAKT_ENC_VARINT,
                            2,
                            0,
                            2,
                            2,
                            0};
    struct hakt_block b = {.kind = HAKT_BLOCK_CHUNK,
                           .records = 2,
                           .first_id = 1,
                           .ids = 2,
                           .threads = 1,
                           .content_bytes = sizeof(head) + n + 4};
    uint8_t content[64] = {0};
    struct hakt_rec recs[2];
    struct hakt_decoder *d = hakt_decoder_new();
    const char *why;
    size_t got = 1, all = 0;
    memcpy(content, head, sizeof(head));
    memcpy(content + sizeof(head), schedule, n);
    memcpy(content + sizeof(head) + n, ops, 2);
    memcpy(content + sizeof(head) + n + 2, sizes, 2);
    int whole_rc = hakt_decode_chunk(d, &b, content, recs, &why);
    int rc = hakt_decode_begin(d, &b, content, &why);
    while (rc == 0 && got > 0 && all < 2) {
        rc = hakt_decode_some(d, recs, 1, &got, &why);
        all += got;
    }
    assert_int_equal(rc, whole_rc);
    hakt_decoder_free(d);
    return rc;
}

static void test_schedule_of_another_length(void **state) {
    (void)state;
    static const struct {
        uint8_t n, bytes[6];
        int rc;
    } tries[] = {
        {2, {0, 2}, 0},
        {4, {0, 1, 0, 1}, 0},
        {4, {0, 2, 0, 0}, 0}, /* no records are as good as none said */
        {0, {0}, HAKC_ECORRUPT},
        {2, {0, 1}, HAKC_ECORRUPT},
        {4, {0, 1, 0, 2}, HAKC_ECORRUPT},
        {4, {0, 2, 0, 1}, HAKC_ECORRUPT},
        {4, {0, 2, 1, 0}, HAKC_ECORRUPT},
        {3, {0, 2, 0}, HAKC_ECORRUPT},
    };
    for (size_t i = 0; i < sizeof(tries) / sizeof(*tries); i++)
        assert_int_equal(decode_with_schedule(tries[i].bytes, tries[i].n), tries[i].rc);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_whole),
        cmocka_unit_test(test_every_cut),
        cmocka_unit_test(test_every_byte_lost),
        cmocka_unit_test(test_every_flip),
        cmocka_unit_test(test_headers_that_ask_for_memory),
        cmocka_unit_test(test_schedule_of_another_length),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
