/* A collector over rings that a test fills by hand, and what it hands on. */
#ifndef TESTS_UNIT_COLLECT_FIXTURE_H
#define TESTS_UNIT_COLLECT_FIXTURE_H

#include "tracer/collect.h"
#include "tracer/collect_backlog.h"
#include "tracer/collect_shm.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#define RINGS   3
#define OUT_MAX 4096

struct fixture {
    struct hakt_shm *shm;
    int fd;
    struct hakt_clock clock;
    struct hakt_collect *c;
    uint64_t next[RINGS]; /* index to write */
    struct hakt_rec out[OUT_MAX];
    size_t out_count;
    size_t fail_at; /* the sink fails from there on */
};

/* What the records so far say about the object that rec consumes. */
static inline uint64_t size_consumed(const struct fixture *f, const struct hakt_rec *rec) {
    for (size_t i = 0; i < f->out_count && rec->old_id != 0; i++) {
        if (f->out[i].id == rec->old_id)
            return f->out[i].size;
    }
    return 0;
}

static inline int take(void *ctx, const struct hakt_rec *rec, uint64_t old_size,
                       struct hakc_err *err) {
    struct fixture *f = ctx;
    if (f->out_count >= f->fail_at)
        return hakc_fail(err, HAKC_EIO, "disk full");
    if (f->out_count > 0)
        assert_true(rec->time >= f->out[f->out_count - 1].time);
    assert_int_equal(old_size, size_consumed(f, rec));
    f->out[f->out_count++] = *rec;
    return 0;
}

static inline void attach(struct fixture *f, int ring, uint32_t tid) {
    struct hakt_shm_slot *s = &hakt_shm_slots(f->shm)[ring];
    assert_int_equal(s->state, HAKT_SLOT_FREE);
    s->tid = tid;
    s->state = HAKT_SLOT_ATTACHED;
    f->shm->attach_seq++;
    f->next[ring] = s->tail;
}

static inline int setup(void **state) {
    static struct fixture f;
    struct hakt_shm_settings set = {
        .ring_bytes = HAKT_RING_BYTES_MIN, .slots = 2 * RINGS, .clock = HAKT_SHM_MONOTONIC};
    struct hakt_collect_sink sink = {.put = take, .ctx = &f};
    char path[64];
    memset(&f, 0, sizeof(f));
    f.fail_at = OUT_MAX;
    assert_int_equal(hakt_clock_start(&f.clock, HAKT_CLOCK_MONOTONIC), 0);
    assert_int_equal(hakt_shm_create(&f.shm, &f.fd, path, &set, NULL), 0);
    assert_int_equal(hakt_collect_open(&f.c, f.shm, &f.clock, sink, HAKT_BACKLOG_DEFAULT, NULL), 0);
    for (int i = 0; i < RINGS; i++)
        attach(&f, i, 1000000000u + (uint32_t)i);
    *state = &f;
    return 0;
}

static inline int teardown(void **state) {
    struct fixture *f = *state;
    hakt_collect_close(f->c);
    hakt_shm_destroy(f->shm, f->fd);
    return 0;
}

/* How many words it took. */
static inline unsigned commit_any(struct fixture *f, int ring, uint64_t index,
                                  const struct hakt_shm_rec *rec) {
    uint64_t w[HAKT_SHM_WORDS_MAX];
    unsigned n = hakt_shm_encode(rec, w);
    hakt_shm_commit(hakt_shm_ring(f->shm, (uint32_t)ring), hakt_shm_ring_log2(f->shm), index, w, n);
    return n;
}

static inline unsigned commit(struct fixture *f, int ring, uint64_t index, unsigned op,
                              uint64_t ptr, uint64_t size, uint64_t ns) {
    struct hakt_shm_rec rec = {
        .time = f->clock.raw0 + ns, .ptr = ptr, .size = size, .op = (uint8_t)op, .stamped = 1};
    return commit_any(f, ring, index, &rec);
}

static inline void put(struct fixture *f, int ring, unsigned op, uint64_t ptr, uint64_t size,
                       uint64_t ns) {
    f->next[ring] += commit(f, ring, f->next[ring], op, ptr, size, ns);
}

/* Words for a stamped malloc or free that is not there yet. The index. */
static inline uint64_t reserve(struct fixture *f, int ring) {
    f->next[ring] += 2;
    return f->next[ring] - 2;
}

/* Rounds with pauses in which any patience for a missing cause runs out. */
static inline void settle(struct fixture *f) {
    for (int i = 0; i < 20; i++) {
        hakt_collect_round(f->c, NULL);
        usleep(2000);
    }
}

/* The n-th record that is not a thread's start. */
static inline const struct hakt_rec *op(const struct fixture *f, size_t n) {
    for (size_t i = 0; i < f->out_count; i++) {
        if (f->out[i].op != HAKT_THREAD_START && n-- == 0)
            return &f->out[i];
    }
    fail_msg("too few records");
    return NULL;
}

static inline size_t ops(const struct fixture *f) {
    size_t n = 0;
    for (size_t i = 0; i < f->out_count; i++)
        n += f->out[i].op != HAKT_THREAD_START && f->out[i].op != HAKT_THREAD_END;
    return n;
}

static inline void assert_op(const struct fixture *f, size_t n, unsigned kind, uint64_t id,
                             uint64_t old_id, unsigned flags) {
    const struct hakt_rec *r = op(f, n);
    assert_int_equal(r->op, kind);
    assert_int_equal(r->id, id);
    assert_int_equal(r->old_id, old_id);
    assert_int_equal(r->flags, flags);
}

#endif
