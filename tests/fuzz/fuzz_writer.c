/*
 * libFuzzer: the writer and its encoder. The input is a program that appends records and events:
 * sound ones by hakt_write, hakt_write_sized and hakt_write_plain, and any others, which may be
 * refused. What was taken must be read back, field by field, and a trace of sound records must
 * verify.
 */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>
#include "tracer/format/trace.h"

#define RECORDS_MAX 20000
#define EVENTS_MAX  200
#define LIVE_MAX    4096
#define BATCH_MAX   64

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct {
    const uint8_t *p, *end;
    struct hakt_writer *w;
    struct hakt_rec recs[RECORDS_MAX];
    struct hakt_event events[EVENTS_MAX];
    size_t n, events_count;
    struct {
        uint64_t id, size;
    } live[LIVE_MAX];
    size_t nlive;
    uint64_t time;
    int by_size; /* all records by hakt_write_sized and hakt_write_plain */
    int sound;
} f;

static void check(int ok) {
    if (!ok)
        abort();
}

static uint64_t byte(void) {
    return f.p < f.end ? *f.p++ : 0;
}

/* A number of 0 to 8 bytes, small ones in few. */
static uint64_t number(void) {
    uint64_t v = 0;
    for (uint64_t k = byte() % 9; k > 0; k--)
        v = v << 8 | byte();
    return v;
}

static uint32_t thread(void) {
    uint64_t b = byte();
    return b < 250 ? b % 5 : b < 255 ? (uint32_t)(b << 2) : (uint32_t)(number() % (1u << 20));
}

static void pass_time(void) {
    uint64_t b = byte(), by = b < 200 ? b : number() >> 8;
    if (f.time + by >= f.time)
        f.time += by;
}

/* Takes one of the live objects: 1 with *id and *size. */
static int take_live(uint64_t *id, uint64_t *size) {
    uint64_t k = byte();
    if (f.nlive == 0 || k == 255)
        return 0;
    k = f.nlive - 1 - (k < 200 ? k % 8 : number()) % f.nlive;
    *id = f.live[k].id;
    *size = f.live[k].size;
    f.live[k] = f.live[--f.nlive];
    return 1;
}

static void remember(uint64_t id, uint64_t size) {
    if (f.nlive < LIVE_MAX) {
        f.live[f.nlive].id = id;
        f.live[f.nlive++].size = size;
    }
}

static void put(struct hakt_rec r, uint64_t old_size) {
    int rc = f.by_size ? hakt_write_sized(f.w, &r, old_size, NULL) : hakt_write(f.w, &r, NULL);
    check(rc == 0 || rc == HAKC_EINTERNAL);
    if (rc == 0)
        f.recs[f.n++] = r;
}

static void put_malloc(void) {
    struct hakt_rec r = {.time = f.time, .thread = thread(), .op = HAKT_MALLOC};
    r.size = number();
    r.id = hakt_writer_next_id(f.w);
    size_t before = f.n;
    put(r, 0);
    if (f.n > before)
        remember(r.id, r.size);
}

static void put_free(void) {
    struct hakt_rec r = {.time = f.time, .thread = thread(), .op = HAKT_FREE};
    uint64_t size = 0;
    take_live(&r.old_id, &size);
    size_t before = f.n;
    put(r, size);
    check(f.n > before);
}

/* Any record at all. */
static void put_any(void) {
    struct hakt_rec r = {.time = f.time, .thread = thread()};
    uint64_t size = 0, how = byte();
    r.op = (uint8_t)(byte() % 14);
    r.flags = (uint8_t)(byte() % 20);
    r.align_log2 = (uint8_t)(byte() % 70);
    r.size = number();
    if (how & 1)
        r.id = hakt_writer_next_id(f.w);
    if (how & 2)
        take_live(&r.old_id, &size);
    if (how & 4) { /* of an object that may be dead, or not made yet */
        r.old_id = number();
        f.sound = 0;
    }
    if (r.flags & HAKT_REC_FAILED)
        f.sound &= r.old_id == 0;
    size_t before = f.n;
    put(r, size);
    if (f.n > before && r.id != 0)
        remember(r.id, r.size);
}

static void put_plain(void) {
    struct hakt_plain_rec batch[BATCH_MAX];
    uint64_t next = hakt_writer_next_id(f.w);
    size_t n = byte() % BATCH_MAX;
    for (size_t i = 0; i < n; i++) {
        pass_time();
        struct hakt_plain_rec *b = &batch[i];
        *b = (struct hakt_plain_rec){.time = f.time, .thread = thread()};
        b->is_free = byte() & 1;
        struct hakt_rec r = {.time = b->time, .thread = b->thread};
        if (b->is_free) {
            take_live(&b->id, &b->size);
            r.op = HAKT_FREE;
            r.old_id = b->id;
        } else {
            b->id = r.id = next++;
            b->size = r.size = number() >> 1; /* the largest are refused */
            remember(b->id, b->size);
        }
        f.recs[f.n++] = r;
    }
    check(hakt_write_plain(f.w, batch, n, NULL) == 0);
}

static void put_event(void) {
    struct hakt_event e = {.time = f.time, .record = f.n, .thread = thread()};
    for (int i = 0; i < 4; i++)
        e.arg[i] = number();
    e.kind = (uint16_t)number();
    e.flags = (uint16_t)byte();
    if (f.events_count < EVENTS_MAX && hakt_write_event(f.w, &e, NULL) == 0)
        f.events[f.events_count++] = e;
}

static void read_back(const char *path) {
    struct hakt_reader *r;
    struct hakc_err err;
    const struct hakt_rec *recs;
    const struct hakt_event *e;
    size_t at = 0, n;
    check(hakt_reader_open(&r, path, &err) == 0);
    do {
        check(hakt_reader_next(r, &recs, &n, &err) == 0 && at + n <= f.n);
        check(n == 0 || memcmp(recs, f.recs + at, n * sizeof(*recs)) == 0);
        at += n;
    } while (n > 0);
    check(at == f.n);
    for (size_t i = 0; i < f.events_count; i++) {
        check(hakt_reader_next_event(r, &e, &err) == 0 && e != NULL);
        check(e->time == f.events[i].time && e->record == f.events[i].record);
        check(memcmp(e->arg, f.events[i].arg, sizeof(e->arg)) == 0);
        check(e->thread == f.events[i].thread && e->kind == f.events[i].kind &&
              e->flags == f.events[i].flags);
    }
    hakt_reader_close(r);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    static int fd = -1;
    static char path[64];
    struct hakc_err err;
    if (fd < 0) {
        fd = memfd_create("trace", 0);
        snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
    }
    f.p = data;
    f.end = data + size;
    f.n = f.events_count = f.nlive = 0;
    f.sound = 1;
    uint64_t mode = byte();
    f.by_size = mode & 1;
    f.time = mode & 4 ? UINT64_MAX - number() : 0;
    struct hakt_info info = {.fidelity = HAKT_HAS_THREADS | HAKT_HAS_TIMES};
    check(hakt_writer_open(&f.w, path, &info, 1, &err) == 0);
    while (f.p < f.end && f.n < RECORDS_MAX - BATCH_MAX) {
        uint64_t command = byte();
        pass_time();
        switch (command % 16) {
        case 0:
            check(hakt_writer_flush(f.w, &err) == 0);
            break;
        case 1:
            put_event();
            break;
        case 2:
        case 3:
            put_any();
            break;
        case 4:
        case 5:
            if (f.by_size)
                put_plain();
            break;
        case 6:
        case 7:
        case 8:
            put_free();
            break;
        default:
            put_malloc();
        }
    }
    check(hakt_writer_close(f.w, NULL, NULL, &err) == 0);
    read_back(path);
    check(!f.sound || hakt_verify(path, NULL, &err) == 0);
    return 0;
}
