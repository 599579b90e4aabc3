/* Ring and collector at once: threads publish through the producer's own code, with waiting, while
 * the collector drains; objects change threads. Also run under TSan. */
#include "tracer/collect.h"
#include "tracer/collect_backlog.h"
#include "tracer/collect_shm.h"
#include "tracer/rt/ring.h"
/* The library inside the traced program is not linked into anything else. */
#include "tracer/rt/ring.c" /* NOLINT(bugprone-suspicious-include) */

#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define THREADS 4
#define ROUNDS  20000

static struct hakt_shm *shm;
static _Atomic uint64_t mailbox[THREADS]; /* "address" handed to this thread */
static atomic_int running;

struct seen {
    uint64_t mallocs[THREADS], frees[THREADS], next_size[THREADS];
};

static void publish(struct hakt_ring *r, unsigned op, uint64_t ptr, uint64_t size) {
    if (!hakt_ring_has_room(r))
        assert_int_equal(hakt_ring_make_room(r), HAKT_ROOM);
    hakt_ring_put_any(r, op, 0, ptr, size, HAKT_STAMP_SETTLED);
}

/* Each thread "allocates" its own addresses over and over; the neighbour frees them. */
static void *produce(void *arg) {
    uint32_t t = (uint32_t)(uintptr_t)arg, to = (t + 1) % THREADS;
    struct hakt_ring r;
    struct hakt_shm_slot *slot = &hakt_shm_slots(shm)[t];
    memset(&r, 0, sizeof(r));
    slot->tid = 1000000000u + t;
    hakt_ring_bind(&r, shm, t);
    __atomic_fetch_add(&shm->attach_seq, 1, __ATOMIC_SEQ_CST);
    __atomic_store_n(&slot->state, HAKT_SLOT_ATTACHED, __ATOMIC_SEQ_CST);
    for (uint64_t i = 0, freed = 0; i < ROUNDS || freed < ROUNDS;) {
        uint64_t got = atomic_exchange(&mailbox[t], 0);
        if (got != 0) {
            publish(&r, HAKT_SHM_FREE, got, 0);
            freed++;
        }
        if (i < ROUNDS && atomic_load(&mailbox[to]) == 0) {
            publish(&r, HAKT_SHM_MALLOC, 0x1000 * (t + 1) + 16 * (i % 2), i);
            atomic_store(&mailbox[to], 0x1000 * (t + 1) + 16 * (i % 2));
            i++;
        } else if (got == 0) {
            sched_yield();
        }
    }
    atomic_fetch_sub(&running, 1);
    return NULL;
}

static int count(void *ctx, const struct hakt_rec *rec, uint64_t old_size, struct hakc_err *err) {
    struct seen *s = ctx;
    (void)old_size;
    (void)err;
    if (rec->op == HAKT_MALLOC) {
        assert_int_equal(rec->size, s->next_size[rec->thread]++); /* program order */
        s->mallocs[rec->thread]++;
    } else if (rec->op == HAKT_FREE) {
        assert_int_not_equal(rec->old_id, 0);
        s->frees[rec->thread]++;
    }
    return 0;
}

/* busy: one round in so many handles its records, the others put them off. */
static void run(uint64_t ring_bytes, enum hakt_clock_choice choice, uint64_t backlog,
                unsigned busy) {
    struct hakt_shm_settings set = {.ring_bytes = ring_bytes, .slots = 2 * THREADS};
    struct seen seen;
    struct hakt_collect_stats st;
    struct hakt_collect_sink sink = {.put = count, .ctx = &seen};
    struct hakt_collect *c;
    struct hakt_clock clock;
    pthread_t threads[THREADS];
    char path[64];
    int fd, more;

    memset(&seen, 0, sizeof(seen));
    assert_int_equal(hakt_clock_start(&clock, choice), 0);
    set.clock = clock.kind;
    assert_int_equal(hakt_shm_create(&shm, &fd, path, &set, NULL), 0);
    assert_int_equal(hakt_collect_open(&c, shm, &clock, sink, backlog, NULL), 0);
    atomic_store(&running, THREADS);
    for (uintptr_t t = 0; t < THREADS; t++)
        assert_int_equal(pthread_create(&threads[t], NULL, produce, (void *)t), 0);
    for (unsigned round = 0; atomic_load(&running) > 0; round++) {
        hakt_collect_set_busy(c, round % busy != 0);
        if (hakt_collect_round(c, &more) == 0 && !more)
            hakt_shm_sleep(shm, 200000);
    }
    for (int t = 0; t < THREADS; t++)
        pthread_join(threads[t], NULL);
    hakt_collect_finish(c);
    hakt_collect_get_stats(c, &st);
    assert_int_equal(st.threads, THREADS);
    assert_int_equal(st.dropped, 0);
    assert_int_equal(st.foreign, 0);
    assert_int_equal(st.implied, 0);
    for (int t = 0; t < THREADS; t++) {
        assert_int_equal(seen.mallocs[t], ROUNDS);
        assert_int_equal(seen.frees[t], ROUNDS);
    }
    hakt_collect_close(c);
    hakt_shm_destroy(shm, fd);
}

static void small_rings(void **state) {
    (void)state;
    run(HAKT_RING_BYTES_MIN, HAKT_CLOCK_AUTO, HAKT_BACKLOG_DEFAULT, 1);
}

static void large_rings(void **state) {
    (void)state;
    run(HAKT_RING_BYTES_DEFAULT, HAKT_CLOCK_AUTO, HAKT_BACKLOG_DEFAULT, 1);
}

static void other_clock(void **state) {
    (void)state;
    run(HAKT_RING_BYTES_DEFAULT, HAKT_CLOCK_MONOTONIC, HAKT_BACKLOG_DEFAULT, 1);
}

static void put_off(void **state) {
    (void)state;
    run(HAKT_RING_BYTES_MIN, HAKT_CLOCK_AUTO, HAKT_BACKLOG_DEFAULT, 10);
    run(HAKT_RING_BYTES_DEFAULT, HAKT_CLOCK_AUTO, HAKT_BACKLOG_DEFAULT, 1000000);
    run(HAKT_RING_BYTES_MIN, HAKT_CLOCK_AUTO, 0, 1000000);
}

/* A dead collector: the thread is let go, and counts. */
static void nobody_reads(void **state) {
    struct hakt_shm_settings set = {.ring_bytes = HAKT_RING_BYTES_MIN, .slots = 1};
    struct hakt_ring r;
    char path[64];
    int fd;
    (void)state;
    assert_int_equal(hakt_shm_create(&shm, &fd, path, &set, NULL), 0);
    shm->collector_pid = 0x7ffffff0; /* above the greatest pid: no such process */
    memset(&r, 0, sizeof(r));
    hakt_ring_bind(&r, shm, 0);
    for (uint64_t i = 0; i < r.mask + 1 - HAKT_SHM_SLACK; i += 2) /* words: all are stamped */
        publish(&r, HAKT_SHM_MALLOC, 0x1000, 1);
    assert_false(hakt_ring_has_room(&r));
    assert_int_equal(hakt_ring_make_room(&r), HAKT_ROOM_COLLECTOR);
    shm->on_full = HAKT_SHM_DROP;
    assert_int_equal(hakt_ring_make_room(&r), HAKT_ROOM_DROPPED);
    assert_int_equal(hakt_shm_slots(shm)[0].dropped, 2);
    hakt_shm_slots(shm)[0].tail = 2; /* one is read: one more fits */
    assert_int_equal(hakt_ring_make_room(&r), HAKT_ROOM);
    publish(&r, HAKT_SHM_MALLOC, 0x1000, 1);
    assert_false(hakt_ring_has_room(&r));
    hakt_shm_destroy(shm, fd);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(small_rings),  cmocka_unit_test(large_rings),
        cmocka_unit_test(other_clock),  cmocka_unit_test(put_off),
        cmocka_unit_test(nobody_reads),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
