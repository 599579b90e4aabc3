/*
 * How fast the collector drains: a trace is put back into a ring, as the traced program would have
 * done, by a thread that does nothing else and waits where the ring is full; measured is the CPU
 * time of the thread that drains: reading the other CPU's records, merging, resolving addresses,
 * encoding, counting, compressing.
 *
 *   bench_collect TRACE [ROUNDS [LEVEL [BACKLOG]]]     BACKLOG in MiB
 *
 * Threads of the trace share the one ring: their order is that of the trace. Prints ns of CPU per
 * record for each round. One op in four is stamped, as by default. Needs 10 bytes of memory a
 * record, and two CPUs.
 */
#include <inttypes.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include "common/err.h"
#include "tracer/collect.h"
#include "tracer/collect_backlog.h"
#include "tracer/collect_shm.h"

struct bench {
    struct hakt_shm *shm;
    struct hakt_collect *collect;
    uint64_t *words;            /* all that will go through the ring */
    uint64_t count, used, room; /* records, words */
    uint64_t *address;          /* by id */
    uint64_t stamp;
};

static uint64_t cpu_ns(void) {
    struct timespec ts;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &ts);
    return (uint64_t)ts.tv_sec * 1000000000u + (uint64_t)ts.tv_nsec;
}

static void die(const struct hakc_err *err) {
    hakc_err_print("bench_collect", err);
    exit(hakc_exit_code(err->code));
}

static void commit(struct bench *b, unsigned op, unsigned align, uint64_t ptr, uint64_t size) {
    struct hakt_shm_rec rec = {.time = b->stamp,
                               .ptr = ptr,
                               .size = size,
                               .op = (uint8_t)op,
                               .align_log2 = (uint8_t)align,
                               .stamped = b->count % 4 == 0};
    if (b->used + HAKT_SHM_WORDS_MAX > b->room) {
        b->room += b->room / 2 + 4096;
        b->words = realloc(b->words, b->room * sizeof(*b->words));
        if (b->words == NULL)
            abort();
    }
    b->used += hakt_shm_encode(&rec, b->words + b->used);
    b->count++;
}

/* An address of the C library's, so that addresses lie and repeat as in a program. */
static uint64_t take_address(struct bench *b, uint64_t id, uint64_t size) {
    void *p = malloc(size < 1u << 20 ? size : 1u << 20);
    b->address[id] = (uint64_t)(uintptr_t)p;
    return b->address[id];
}

static void put_one(struct bench *b, const struct hakt_rec *r) {
    uint64_t old = r->old_id != 0 ? b->address[r->old_id] : 0;
    b->stamp = 1 + r->time; /* never 0 */
    if (r->op >= HAKT_THREAD_START || (r->flags != 0 && r->op == HAKT_FREE))
        return;
    if (r->op == HAKT_FREE) {
        commit(b, HAKT_SHM_FREE, 0, old, 0);
        free((void *)(uintptr_t)old);
    } else if (old != 0) {
        commit(b, HAKT_SHM_REALLOC_BEGIN, 0, old, r->size);
        if (!(r->flags & HAKT_REC_FAILED))
            free((void *)(uintptr_t)old);
        commit(b, HAKT_SHM_REALLOC_END, 0, r->id != 0 ? take_address(b, r->id, r->size) : 0, old);
    } else {
        commit(b, r->op, r->align_log2, r->id != 0 ? take_address(b, r->id, r->size) : 0, r->size);
    }
}

static void read_trace(struct bench *b, struct hakt_reader *reader) {
    const struct hakt_rec *recs;
    struct hakc_err err;
    size_t n;
    int rc;
    while ((rc = hakt_reader_next(reader, &recs, &n, &err)) == 0 && n > 0) {
        for (size_t i = 0; i < n; i++)
            put_one(b, &recs[i]);
    }
    if (rc != 0)
        die(&err);
}

/* The program: nothing but its records. */
static void *produce(void *arg) {
    struct bench *b = arg;
    uint64_t *ring = hakt_shm_ring(b->shm, 0);
    const uint64_t *tail = &hakt_shm_slots(b->shm)[0].tail;
    unsigned log2 = hakt_shm_ring_log2(b->shm), n;
    uint64_t size = (1ull << log2) - HAKT_SHM_WORDS_MAX, end = size;
    for (uint64_t i = 0; i < b->used; i += n) {
        n = hakt_shm_words(b->words[i]);
        while (i >= end)
            end = __atomic_load_n(tail, __ATOMIC_ACQUIRE) + size;
        hakt_shm_commit(ring, log2, i, b->words + i, n);
    }
    return NULL;
}

static void forget_addresses(struct bench *b, struct hakt_reader *reader) {
    const struct hakt_rec *recs;
    size_t n;
    hakt_reader_rewind(reader, NULL);
    while (hakt_reader_next(reader, &recs, &n, NULL) == 0 && n > 0) {
        for (size_t i = 0; i < n; i++) {
            if (recs[i].old_id != 0)
                b->address[recs[i].old_id] = 0;
        }
    }
    for (uint64_t id = 1; id <= hakt_reader_totals(reader, NULL)->allocs; id++)
        free((void *)(uintptr_t)b->address[id]);
}

static int to_writer(void *ctx, const struct hakt_rec *rec, uint64_t old_size,
                     struct hakc_err *err) {
    return hakt_write_sized(ctx, rec, old_size, err);
}

static int plain_to_writer(void *ctx, const struct hakt_plain_rec *recs, size_t n,
                           struct hakc_err *err) {
    return hakt_write_plain(ctx, recs, n, err);
}

static void one_round(const char *path, int level, uint64_t backlog) {
    struct bench b = {0};
    struct hakt_reader *reader;
    struct hakt_writer *writer = NULL;
    struct hakt_clock clock;
    struct hakt_totals totals;
    struct hakc_err err;
    char name[64];
    int fd;
    struct hakt_shm_settings set = {.ring_bytes = 1 << 20, .slots = 1, .clock = HAKT_SHM_MONOTONIC};
    struct hakt_info info = {.fidelity = HAKT_HAS_TIMES | HAKT_HAS_THREADS};
    struct hakt_collect_stats stats;
    pthread_t producer;

    if (hakt_reader_open(&reader, path, &err) != 0)
        die(&err);
    if (hakt_writer_open(&writer, "/dev/null", &info, level, &err) != 0)
        die(&err);
    hakt_clock_start(&clock, HAKT_CLOCK_MONOTONIC);
    clock.raw0 = 1; /* long ago: every stamp lies before now */
    if (hakt_shm_create(&b.shm, &fd, name, &set, &err) != 0)
        die(&err);
    b.address = calloc(hakt_reader_totals(reader, NULL)->allocs + 1, sizeof(*b.address));
    struct hakt_collect_sink sink = {.put = to_writer, .put_plain = plain_to_writer, .ctx = writer};
    if (b.address == NULL || hakt_collect_open(&b.collect, b.shm, &clock, sink, backlog, &err) != 0)
        die(&err);
    hakt_shm_slots(b.shm)[0].tid = 1;
    hakt_shm_slots(b.shm)[0].state = HAKT_SLOT_ATTACHED;
    b.shm->attach_seq = 1;
    read_trace(&b, reader);
    if (pthread_create(&producer, NULL, produce, &b) != 0)
        abort();
    uint64_t from = cpu_ns(), handled = 0;
    while (handled < b.count)
        handled += hakt_collect_round(b.collect, NULL);
    hakt_collect_finish(b.collect);
    hakt_collect_get_stats(b.collect, &stats);
    uint64_t bytes = hakt_writer_bytes(writer);
    if (hakt_writer_close(writer, NULL, &totals, &err) != 0)
        die(&err);
    uint64_t spent = cpu_ns() - from;
    pthread_join(producer, NULL);
    printf("%" PRIu64 " records, %.1f ns of CPU a record, %.1f M records/s, peak live %" PRIu64
           ", %.2f bytes a record, foreign %" PRIu64 ", implied %" PRIu64 "\n",
           totals.records, (double)spent / (double)totals.records,
           (double)totals.records / (double)spent * 1e3, totals.peak_live_objects,
           (double)bytes / (double)totals.records, stats.foreign, stats.implied);
    hakt_collect_close(b.collect);
    hakt_shm_destroy(b.shm, fd);
    forget_addresses(&b, reader);
    free(b.address);
    free(b.words);
    hakt_reader_close(reader);
}

int main(int argc, char **argv) {
    int rounds = argc > 2 ? atoi(argv[2]) : 3, level = argc > 3 ? atoi(argv[3]) : 3;
    uint64_t backlog = argc > 4 ? strtoull(argv[4], NULL, 10) << 20 : HAKT_BACKLOG_DEFAULT;
    if (argc < 2) {
        fprintf(stderr, "bench_collect TRACE [ROUNDS [LEVEL [BACKLOG]]]\n");
        return 2;
    }
    while (rounds-- > 0)
        one_round(argv[1], level, backlog);
    return 0;
}
