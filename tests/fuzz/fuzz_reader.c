/*
 * libFuzzer: the trace reader and the check, on any bytes. The first byte chooses: as they are; or
 * with every block header and checksum made right, so that what lies behind them is reached; or as
 * the content of one chunk.
 */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>
#include "tests/fuzz/fuzz_trace.h"
#include "tracer/format/chunk.h"
#include "tracer/format/event.h"
#include "tracer/format/record.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check(int ok) {
    if (!ok)
        abort();
}

static void read_all(const char *path) {
    static struct hakt_rec part[50];
    struct hakt_reader *r;
    struct hakc_err err;
    const struct hakt_rec *recs;
    const struct hakt_event *event;
    uint64_t first;
    size_t n;
    if (hakt_reader_open(&r, path, &err) != 0)
        return;
    uint32_t threads = (uint32_t)hakt_reader_totals(r, NULL)->threads;
    for (int round = 0; round < 3; round++) {
        while (hakt_reader_next(r, &recs, &n, &err) == 0 && n > 0) {
            for (size_t i = 0; i < n; i++)
                check(hakt_rec_check(&recs[i]) == NULL && recs[i].thread < threads);
        }
        while (hakt_reader_next_event(r, &event, &err) == 0 && event != NULL)
            check(event->thread < threads);
        if (round == 0)
            hakt_reader_seek_record(r, 100, &first, &err);
        else
            hakt_reader_seek_time(r, 1000, &first, &err);
    }
    if (hakt_reader_rewind(r, &err) == 0) {
        while (hakt_reader_next_part(r, part, sizeof(part) / sizeof(*part), &n, &err) == 0 && n > 0)
            for (size_t i = 0; i < n; i++)
                check(hakt_rec_check(&part[i]) == NULL && part[i].thread < threads);
    }
    hakt_reader_close(r);
    hakt_verify(path, NULL, &err);
}

/* In parts it is the same as in one piece. */
static void decode_parts(struct hakt_decoder *d, const struct hakt_block *b, const uint8_t *content,
                         const struct hakt_rec *recs, int whole_rc) {
    struct hakt_rec part[37];
    const char *why;
    uint64_t at = 0;
    size_t n = 1;
    int rc = hakt_decode_begin(d, b, content, &why);
    while (rc == 0 && n > 0 && at < b->records) {
        rc = hakt_decode_some(d, part, sizeof(part) / sizeof(*part), &n, &why);
        check(rc != 0 || n <= b->records - at);
        if (rc == 0 && whole_rc == 0)
            check(memcmp(part, recs + at, n * sizeof(*part)) == 0);
        at += rc == 0 ? n : 0;
    }
    check(rc == whole_rc && (rc != 0 || at == b->records));
}

static void decode(const uint8_t *data, size_t size) {
    static struct hakt_decoder *d;
    const char *why;
    if (size < 8)
        return;
    if (d == NULL)
        d = hakt_decoder_new();
    struct hakt_block b = {.kind = HAKT_BLOCK_CHUNK,
                           .content_bytes = size - 8,
                           .records = 1 + hakt_get_u32(data) % 2000,
                           .first_id = 1 + data[4],
                           .threads = 1 + data[5],
                           .last_time = data[6]};
    b.ids = data[7] % (b.records + 1);
    struct hakt_rec *recs = malloc(b.records * sizeof(*recs));
    uint8_t *content = malloc(b.content_bytes + HAKT_CONTENT_SLACK); /* its end is watched */
    memcpy(content, data + 8, b.content_bytes);
    memset(content + b.content_bytes, 0xff, HAKT_CONTENT_SLACK); /* whatever stands there */
    int rc = hakt_decode_chunk(d, &b, content, recs, &why);
    decode_parts(d, &b, content, recs, rc);
    if (rc == 0) {
        for (uint64_t i = 0; i < b.records; i++)
            check(hakt_rec_check(&recs[i]) == NULL && recs[i].old_id < b.first_id + b.ids &&
                  recs[i].thread < b.threads);
    }
    free(content);
    free(recs);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    static int fd = -1;
    static char path[64];
    if (size < 1 || size > 1 << 20)
        return 0;
    if (data[0] % 3 == 2) {
        decode(data + 1, size - 1);
        return 0;
    }
    if (fd < 0) {
        fd = memfd_create("trace", 0);
        snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
    }
    fuzz_put_trace(fd, data + 1, size - 1, data[0] % 3 == 1);
    read_all(path);
    return 0;
}
