/*
 * Damaged traces: cut anywhere, flipped anywhere, with blocks unknown, missing, doubled or behind
 * the end. What a reader gives out is then a prefix of the truth or comes with an error; never
 * wrong data in silence. Run under ASan this is also the test that nothing is read out of bounds.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <unistd.h>
#include <cmocka.h>
#include <zstd.h>
#include "tests/unit/trace_random.h"
#include "tracer/format/block.h"

enum { N = 700, EVERY = 150 };
static char path[256];
static struct hakt_rec *truth;
static uint8_t *whole;
static size_t whole_size;
static size_t block_at[16]; /* offsets of the blocks, and of the tail after them */
static size_t blocks;

static void put_file(const uint8_t *p, size_t n) {
    FILE *f = fopen(path, "wb");
    assert_non_null(f);
    assert_int_equal(fwrite(p, 1, n, f), n);
    assert_int_equal(fclose(f), 0);
}

static int set_up(void **state) {
    (void)state;
    struct hakt_writer *w;
    struct hakt_info info = {.fidelity = HAKT_HAS_TIMES | HAKT_HAS_THREADS, .command = "x"};
    truth = random_records(21, N, 6, 1);
    if (hakt_writer_open(&w, path, &info, 0, NULL) != 0)
        return -1;
    for (size_t i = 0; i < N; i++) {
        if (hakt_write(w, &truth[i], NULL) != 0 ||
            (i % EVERY == EVERY - 1 && hakt_writer_flush(w, NULL) != 0))
            return -1;
    }
    if (hakt_writer_close(w, NULL, NULL, NULL) != 0)
        return -1;
    FILE *f = fopen(path, "rb");
    whole = malloc(1 << 20);
    whole_size = fread(whole, 1, 1 << 20, f);
    fclose(f);
    struct hakt_block b;
    const char *why;
    size_t at = 0;
    while (at + HAKT_TAIL_SIZE < whole_size && hakt_block_get(whole + at, &b, &why) == 0) {
        block_at[blocks++] = at;
        at += HAKT_BLOCK_HEAD + b.frame_bytes;
    }
    block_at[blocks] = at;
    return at + HAKT_TAIL_SIZE == whole_size ? 0 : -1;
}

static int tear_down(void **state) {
    (void)state;
    free(truth);
    free(whole);
    unlink(path);
    return 0;
}

/* Reads the file at `path`. Whatever comes out must be the truth from its start; returns how many
 * records, and the code of the error that ended the reading. */
static size_t read_prefix(int *code, int *rebuilt) {
    struct hakt_reader *r;
    struct hakc_err err;
    const struct hakt_rec *recs;
    size_t n, at = 0;
    *rebuilt = 0;
    *code = hakt_reader_open(&r, path, &err);
    if (*code != 0)
        return 0;
    hakt_reader_totals(r, rebuilt);
    while ((*code = hakt_reader_next(r, &recs, &n, &err)) == 0 && n > 0) {
        assert_true(at + n <= N);
        assert_memory_equal(recs, truth + at, n * sizeof(*recs));
        at += n;
    }
    if (*code != 0)
        assert_true(err.has_offset);
    hakt_reader_close(r);
    return at;
}

static void test_cut_anywhere(void **state) {
    (void)state;
    for (size_t cut = 0; cut < whole_size; cut += cut % 40 == 0 || cut > whole_size - 60 ? 1 : 13) {
        int code, rebuilt;
        struct hakc_err err;
        put_file(whole, cut);
        size_t got = read_prefix(&code, &rebuilt);
        size_t expected = 0; /* all the chunks before the cut */
        for (size_t b = 1; b + 2 < blocks; b++) {
            if (block_at[b + 1] <= cut)
                expected = b * EVERY < N ? b * EVERY : N;
        }
        assert_int_equal(got, expected);
        if (cut >= block_at[1])
            assert_int_equal(code, 0);
        assert_int_equal(rebuilt, cut >= block_at[1] && cut < block_at[blocks]);
        assert_int_equal(hakt_verify(path, NULL, &err), HAKC_ETRUNCATED);
        assert_true(err.has_offset && err.offset <= cut);
    }
}

static void test_flip_anywhere(void **state) {
    (void)state;
    uint8_t *bad = malloc(whole_size);
    for (size_t i = 0; i < whole_size * 8; i++) {
        int code, rebuilt;
        struct hakc_err err;
        if (i >= 1024 && i % 41 != 0) /* every bit of the first block header, then some */
            continue;
        memcpy(bad, whole, whole_size);
        bad[i / 8] ^= (uint8_t)(1u << i % 8);
        put_file(bad, whole_size);
        size_t got = read_prefix(&code, &rebuilt);
        /* all of it, or an error, or the file is known not to be whole */
        assert_true(got == N || code != 0 || rebuilt);
        int rc = hakt_verify(path, NULL, &err);
        assert_true(rc == HAKC_ECORRUPT || rc == HAKC_ETRUNCATED);
        assert_true(err.has_offset);
    }
    free(bad);
}

/* Puts a block of another kind before block `before` and gives the rest new sequence numbers. */
static size_t insert_block(uint8_t *out, size_t before, uint8_t kind, uint8_t flags) {
    static const char content[] = "something from the future";
    size_t n = 0;
    for (size_t b = 0; b <= blocks; b++) {
        struct hakt_block head;
        const char *why;
        if (b == before) {
            uint8_t *frame = out + n + HAKT_BLOCK_HEAD;
            size_t packed = ZSTD_compress(frame, 1000, content, sizeof(content), 1);
            head = (struct hakt_block){.kind = kind,
                                       .flags = flags,
                                       .sequence = (uint32_t)b,
                                       .frame_bytes = packed,
                                       .content_bytes = sizeof(content),
                                       .first_id = 1,
                                       .frame_crc = hakt_crc32(frame, packed)};
            hakt_block_put(out + n, &head);
            n += HAKT_BLOCK_HEAD + packed;
        }
        if (b == blocks)
            break; /* the tail with its offsets would be wrong: as if the recorder had died */
        size_t size = block_at[b + 1] - block_at[b];
        memcpy(out + n, whole + block_at[b], size);
        assert_int_equal(hakt_block_get(out + n, &head, &why), 0);
        head.sequence += b >= before;
        hakt_block_put(out + n, &head);
        n += size;
    }
    return n;
}

static void test_unknown_kind(void **state) {
    (void)state;
    uint8_t *out = malloc(whole_size + 4096);
    int code, rebuilt;
    for (size_t before = 1; before <= blocks; before++) {
        put_file(out, insert_block(out, before, 77, 0));
        assert_int_equal(read_prefix(&code, &rebuilt), N);
        assert_int_equal(code, 0);
        assert_int_equal(rebuilt, 0); /* the trailer is there, though not the tail */
        put_file(out, insert_block(out, before, 77, HAKT_BLOCK_CRITICAL));
        assert_int_equal(read_prefix(&code, &rebuilt), 0);
        assert_int_equal(code, HAKC_EUNSUPPORTED);
    }
    free(out);
}

static void test_missing_and_doubled_blocks(void **state) {
    (void)state;
    uint8_t *out = malloc(2 * whole_size);
    struct hakc_err err;
    int code, rebuilt;
    for (size_t b = 1; b < blocks; b++) {
        size_t from = block_at[b], to = block_at[b + 1];
        memcpy(out, whole, from);
        memcpy(out + from, whole + to, whole_size - to);
        put_file(out, whole_size - (to - from));
        size_t got = read_prefix(&code, &rebuilt);
        assert_true(got == N || code != 0);
        int rc = hakt_verify(path, NULL, &err); /* the last block gone looks like a cut */
        assert_true(rc == HAKC_ECORRUPT || (rc == HAKC_ETRUNCATED && b == blocks - 1));

        memcpy(out, whole, to);
        memcpy(out + to, whole + from, whole_size - from);
        put_file(out, whole_size + (to - from));
        got = read_prefix(&code, &rebuilt);
        assert_true(got == N || code != 0);
        assert_int_equal(hakt_verify(path, NULL, &err), HAKC_ECORRUPT);
    }
    memcpy(out, whole, whole_size);
    memcpy(out + whole_size, "more", 4);
    put_file(out, whole_size + 4);
    assert_int_equal(read_prefix(&code, &rebuilt), N);
    assert_int_equal(code, HAKC_ECORRUPT);
    free(out);
}

static void test_what_is_no_trace(void **state) {
    (void)state;
    struct hakt_reader *r;
    struct hakc_err err;
    char text[500];
    memset(text, 'x', sizeof(text));
    put_file((const uint8_t *)text, sizeof(text));
    assert_int_equal(hakt_reader_open(&r, path, &err), HAKC_ECORRUPT);
    assert_null(r);
    put_file((const uint8_t *)text, 0);
    assert_int_equal(hakt_reader_open(&r, path, &err), HAKC_ETRUNCATED);
    assert_int_equal(hakt_reader_open(&r, "/nonexistent/t.zst", &err), HAKC_ENOENT);
    assert_int_equal(hakt_reader_open(&r, "/dev/null", &err), HAKC_EUSAGE);
}

/* Chunks with valid checksums and nonsense inside: what someone would craft. */
static void test_crafted_content(void **state) {
    (void)state;
    uint8_t content[1 << 16], *out = malloc(whole_size + (1 << 17));
    struct trace_random g = {.state = 99};
    const char *why;
    for (int round = 0; round < 1000; round++) {
        struct hakt_block b;
        int code, rebuilt;
        struct hakt_reader *r;
        const struct hakt_rec *recs;
        size_t n, size = block_at[2] - block_at[1];
        assert_int_equal(hakt_block_get(whole + block_at[1], &b, &why), 0);
        size_t bytes =
            ZSTD_decompress(content, sizeof(content), whole + block_at[1] + HAKT_BLOCK_HEAD,
                            size - HAKT_BLOCK_HEAD);
        assert_int_equal(bytes, b.content_bytes);
        for (uint64_t k = 0; k <= random_next(&g) % 4; k++)
            content[random_next(&g) % (round % 2 == 0 ? bytes : 60)] = (uint8_t)random_next(&g);
        if (round % 3 == 0)
            b.content_bytes = bytes = random_next(&g) % bytes;
        if (round % 7 == 0)
            b.records = 1 + random_next(&g) % 300;
        if (round % 7 == 1)
            b.ids = random_next(&g) % (b.records + 1);
        if (round % 7 == 2)
            b.threads = (uint32_t)(random_next(&g) % 8);
        memcpy(out, whole, block_at[1]);
        uint8_t *frame = out + block_at[1] + HAKT_BLOCK_HEAD;
        b.frame_bytes = ZSTD_compress(frame, 1 << 17, content, bytes, 1);
        b.frame_crc = hakt_crc32(frame, b.frame_bytes);
        hakt_block_put(out + block_at[1], &b);
        put_file(out, block_at[1] + HAKT_BLOCK_HEAD + b.frame_bytes);
        code = hakt_reader_open(&r, path, NULL);
        assert_int_equal(code, 0);
        code = hakt_reader_next(r, &recs, &n, NULL);
        for (size_t i = 0; code == 0 && i < n; i++) { /* what a user of the reader relies on */
            uint64_t most = b.first_id + b.ids;
            assert_true(recs[i].op < HAKT_OP_COUNT && recs[i].thread < b.threads);
            assert_true(recs[i].id < most && recs[i].old_id < most && recs[i].align_log2 < 64);
            assert_true(recs[i].time >= b.first_time && recs[i].time <= b.last_time);
        }
        hakt_reader_totals(r, &rebuilt);
        assert_int_equal(rebuilt, 1);
        hakt_reader_close(r);
        hakt_verify(path, NULL, NULL);
    }
    free(out);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_cut_anywhere),     cmocka_unit_test(test_flip_anywhere),
        cmocka_unit_test(test_unknown_kind),     cmocka_unit_test(test_missing_and_doubled_blocks),
        cmocka_unit_test(test_what_is_no_trace), cmocka_unit_test(test_crafted_content),
    };
    scratch_path(path, "damage");
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
