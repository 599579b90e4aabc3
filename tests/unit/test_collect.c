/* The collector over rings filled by hand: order, holds, foreign and implied frees, reallocs in
 * all their endings, holes, ends of threads, a sink that fails. */
#include "tests/unit/collect_fixture.h"

static void merges_by_time(void **state) {
    struct fixture *f = *state;
    put(f, 0, HAKT_SHM_MALLOC, 0x100, 10, 30);
    put(f, 1, HAKT_SHM_MALLOC, 0x200, 20, 10);
    put(f, 2, HAKT_SHM_CALLOC, 0x300, 30, 20);
    put(f, 1, HAKT_SHM_FREE, 0x200, 0, 40);
    settle(f);
    assert_op(f, 0, HAKT_MALLOC, 1, 0, 0);
    assert_op(f, 1, HAKT_CALLOC, 2, 0, 0);
    assert_op(f, 2, HAKT_MALLOC, 3, 0, 0);
    assert_op(f, 3, HAKT_FREE, 0, 1, 0);
    assert_int_equal(op(f, 0)->thread, 0);
    assert_int_equal(op(f, 1)->thread, 1);
    assert_int_equal(op(f, 2)->thread, 2);
    assert_int_equal(op(f, 0)->size, 20);
    assert_int_equal(op(f, 3)->time, 40);
}

static void a_record_waits_for_its_cause(void **state) {
    struct fixture *f = *state;
    struct hakt_collect_stats st;
    /* stamps that contradict the causes: freed at 10, allocated at 50 by another thread */
    put(f, 0, HAKT_SHM_FREE, 0x100, 0, 10);
    put(f, 0, HAKT_SHM_MALLOC, 0x900, 9, 11); /* must stay behind it */
    put(f, 2, HAKT_SHM_MALLOC, 0x800, 8, 12); /* another thread goes on */
    put(f, 1, HAKT_SHM_MALLOC, 0x100, 1, 50);
    settle(f);
    assert_int_equal(ops(f), 4);
    assert_op(f, 0, HAKT_MALLOC, 1, 0, 0);
    assert_int_equal(op(f, 0)->size, 8);
    assert_op(f, 1, HAKT_MALLOC, 2, 0, 0);
    assert_op(f, 2, HAKT_FREE, 0, 2, 0);
    assert_op(f, 3, HAKT_MALLOC, 3, 0, 0);
    assert_int_equal(op(f, 2)->time, 50); /* raised */
    hakt_collect_get_stats(f->c, &st);
    assert_int_equal(st.foreign, 0);
    assert_int_equal(st.held, 1);
    assert_int_equal(st.clamped, 2);
}

static void a_cause_may_come_a_round_later(void **state) {
    struct fixture *f = *state;
    put(f, 0, HAKT_SHM_MALLOC, 0x100, 1, 1);
    put(f, 0, HAKT_SHM_MALLOC, 0x100, 2, 10); /* handed out again; the free is not in sight */
    usleep(1000);
    hakt_collect_round(f->c, NULL);
    assert_int_equal(ops(f), 1);
    put(f, 1, HAKT_SHM_FREE, 0x100, 0, 5);
    usleep(1000);
    hakt_collect_round(f->c, NULL);
    assert_op(f, 1, HAKT_FREE, 0, 1, 0);
    assert_op(f, 2, HAKT_MALLOC, 2, 0, 0);
}

static void causes_that_are_nowhere(void **state) {
    struct fixture *f = *state;
    put(f, 0, HAKT_SHM_FREE, 0xabc0, 0, 1);
    put(f, 1, HAKT_SHM_MALLOC, 0x100, 5, 2);
    put(f, 1, HAKT_SHM_MALLOC, 0x100, 6, 3);
    put(f, 2, HAKT_SHM_REALLOC_BEGIN, 0xdef0, 7, 4);
    put(f, 2, HAKT_SHM_REALLOC_END, 0x700, 0xdef0, 5);
    put(f, 2, HAKT_SHM_FREE, 0, 0, 6);
    settle(f);
    struct hakt_collect_stats st;
    hakt_collect_get_stats(f->c, &st);
    assert_int_equal(ops(f), 6);
    assert_int_equal(st.foreign, 2);
    assert_int_equal(st.implied, 1);
    unsigned foreign = 0, implied = 0, null = 0;
    for (size_t i = 0; i < ops(f); i++) {
        const struct hakt_rec *r = op(f, i);
        if (r->op == HAKT_FREE && r->flags == HAKT_REC_IMPLIED && r->old_id != 0)
            implied++;
        else if (r->flags == HAKT_REC_FOREIGN && r->old_id == 0)
            foreign++;
        else if (r->op == HAKT_FREE && r->flags == 0 && r->old_id == 0)
            null++;
    }
    assert_int_equal(foreign, 2);
    assert_int_equal(implied, 1);
    assert_int_equal(null, 1);
}

static void reallocs(void **state) {
    struct fixture *f = *state;
    put(f, 0, HAKT_SHM_MALLOC, 0x100, 5, 1);
    put(f, 0, HAKT_SHM_REALLOC_BEGIN, 0x100, 6, 2); /* moves */
    put(f, 1, HAKT_SHM_MALLOC, 0x100, 9, 3);        /* its place is taken before it ends */
    put(f, 0, HAKT_SHM_REALLOC_END, 0x200, 0x100, 4);
    put(f, 0, HAKT_SHM_REALLOCARRAY_BEGIN, 0x200, 7, 5); /* in place */
    put(f, 0, HAKT_SHM_REALLOC_END, 0x200, 0x200, 6);
    put(f, 0, HAKT_SHM_REALLOC_BEGIN, 0x200, UINT64_MAX, 7); /* fails */
    put(f, 0, HAKT_SHM_REALLOC_END, 0, 0x200, 8);
    put(f, 0, HAKT_SHM_REALLOC_BEGIN, 0x200, 0, 9); /* to zero: a free */
    put(f, 0, HAKT_SHM_REALLOC_END, 0, 0x200, 10);
    put(f, 0, HAKT_SHM_REALLOC, 0x200, 8, 11); /* of NULL */
    put(f, 0, HAKT_SHM_MALLOC, 0, 12, 12);     /* fails */
    settle(f);
    assert_op(f, 0, HAKT_MALLOC, 1, 0, 0);
    assert_op(f, 1, HAKT_MALLOC, 2, 0, 0);
    assert_op(f, 2, HAKT_REALLOC, 3, 1, 0);
    assert_op(f, 3, HAKT_REALLOCARRAY, 4, 3, 0);
    assert_op(f, 4, HAKT_REALLOC, 0, 4, HAKT_REC_FAILED);
    assert_op(f, 5, HAKT_REALLOC, 0, 4, 0);
    assert_op(f, 6, HAKT_REALLOC, 5, 0, 0);
    assert_op(f, 7, HAKT_MALLOC, 0, 0, HAKT_REC_FAILED);
    assert_int_equal(ops(f), 8);
    assert_int_equal(op(f, 2)->size, 6);
    assert_int_equal(op(f, 4)->size, UINT64_MAX);
}

static void a_handler_reallocs_inside_a_realloc(void **state) {
    struct fixture *f = *state;
    put(f, 0, HAKT_SHM_MALLOC, 0x100, 1, 1);
    put(f, 0, HAKT_SHM_MALLOC, 0x200, 2, 2);
    put(f, 0, HAKT_SHM_REALLOC_BEGIN, 0x100, 10, 3);
    put(f, 0, HAKT_SHM_REALLOC_BEGIN, 0x200, 20, 4);
    put(f, 0, HAKT_SHM_REALLOC_END, 0x300, 0x200, 5);
    put(f, 0, HAKT_SHM_REALLOC_END, 0x400, 0x100, 6);
    settle(f);
    assert_op(f, 2, HAKT_REALLOC, 3, 2, 0);
    assert_op(f, 3, HAKT_REALLOC, 4, 1, 0);
    assert_int_equal(op(f, 2)->size, 20);
    assert_int_equal(op(f, 3)->size, 10);
}

static void killed_in_a_realloc(void **state) {
    struct fixture *f = *state;
    put(f, 0, HAKT_SHM_MALLOC, 0x100, 1, 1);
    put(f, 0, HAKT_SHM_REALLOC_BEGIN, 0x100, 10, 2);
    hakt_collect_finish(f->c);
    assert_op(f, 0, HAKT_MALLOC, 1, 0, 0);
    assert_op(f, 1, HAKT_REALLOC, 0, 1, HAKT_REC_UNFINISHED);
    assert_int_equal(op(f, 2)->op, HAKT_THREAD_END);
}

static void nothing_behind_an_uncommitted_record(void **state) {
    struct fixture *f = *state;
    struct hakt_collect_stats st;
    put(f, 0, HAKT_SHM_MALLOC, 0x100, 1, 1);
    uint64_t hole = reserve(f, 0); /* a handler above it goes on */
    put(f, 0, HAKT_SHM_MALLOC, 0x300, 3, 3);
    settle(f);
    assert_int_equal(ops(f), 1);
    /* what is freed elsewhere may be in there: no hurry to call it foreign */
    put(f, 1, HAKT_SHM_FREE, 0x200, 0, 5);
    usleep(1000);
    hakt_collect_round(f->c, NULL);
    hakt_collect_round(f->c, NULL);
    assert_int_equal(ops(f), 1);
    commit(f, 0, hole, HAKT_SHM_MALLOC, 0x200, 2, 2);
    settle(f);
    assert_int_equal(ops(f), 4);
    hakt_collect_get_stats(f->c, &st);
    assert_int_equal(st.foreign, 0);
    /* and one that never will be: its thread died there */
    reserve(f, 0);
    put(f, 0, HAKT_SHM_FREE, 0x300, 0, 6);
    hakt_collect_finish(f->c);
    assert_op(f, 4, HAKT_FREE, 0, 3, 0);
    hakt_collect_get_stats(f->c, &st);
    assert_int_equal(st.dropped, 1);
}

static void a_ring_stuck_behind_a_hole(void **state) {
    struct fixture *f = *state;
    uint64_t size = f->shm->ring_bytes / sizeof(uint64_t), records = 0;
    struct hakt_shm_slot *slot = &hakt_shm_slots(f->shm)[0];
    struct hakt_collect_stats st;
    reserve(f, 0); /* left by a handler's longjmp */
    for (; f->next[0] < size - HAKT_SHM_SLACK; records++)
        put(f, 0, HAKT_SHM_MALLOC, 0x1000 + records * 16, 8, records);
    settle(f);
    assert_int_equal(ops(f), 0);
    slot->waiting = 1; /* the thread has no room left */
    settle(f);
    assert_int_equal(ops(f), records);
    assert_int_equal(slot->tail, f->next[0]);
    assert_int_equal(slot->waiting, 0);
    assert_int_equal(slot->wake, 1);
    hakt_collect_get_stats(f->c, &st);
    assert_int_equal(st.dropped, 1);
}

static void laps(void **state) {
    struct fixture *f = *state;
    for (uint64_t i = 0; i < 1500; i++) {
        put(f, 0, HAKT_SHM_MALLOC, 0x100, 7, i);
        put(f, 0, HAKT_SHM_FREE, 0x100, 0, i);
        if (i % 50 == 0) {
            usleep(10);
            hakt_collect_round(f->c, NULL);
        }
    }
    hakt_collect_finish(f->c);
    assert_int_equal(ops(f), 3000);
}

static void dead_threads_give_their_rings_back(void **state) {
    struct fixture *f = *state;
    struct hakt_shm_slot *slots = hakt_shm_slots(f->shm);
    put(f, 0, HAKT_SHM_MALLOC, 0x100, 1, 1);
    slots[1].tid = (uint32_t)getpid(); /* this one is alive */
    put(f, 1, HAKT_SHM_MALLOC, 0x200, 2, 2);
    hakt_collect_reap(f->c, getpid()); /* nothing read yet: nothing given back */
    assert_int_equal(slots[0].state, HAKT_SLOT_ATTACHED);
    settle(f);
    hakt_collect_reap(f->c, getpid());
    assert_int_equal(slots[0].state, HAKT_SLOT_FREE);
    assert_int_equal(slots[1].state, HAKT_SLOT_ATTACHED);
    assert_int_equal(op(f, 2)->op, HAKT_THREAD_END);
    assert_int_equal(op(f, 2)->thread, 0);
    attach(f, 0, 1000000007u); /* the ring's next thread is another thread */
    assert_int_equal(f->next[0], 2);
    put(f, 0, HAKT_SHM_FREE, 0x200, 0, 9);
    settle(f);
    assert_op(f, 3, HAKT_FREE, 0, 2, 0);
    assert_int_equal(op(f, 3)->thread, 2);
}

static void a_full_disk_does_not_stop_the_program(void **state) {
    struct fixture *f = *state;
    struct hakt_collect_stats st;
    struct hakc_err err;
    f->fail_at = 3;
    for (uint64_t i = 0; i < 100; i++)
        put(f, 0, HAKT_SHM_MALLOC, 0x100 + 16 * i, 1, i);
    settle(f);
    assert_int_equal(hakt_collect_failed(f->c, &err), HAKC_EIO);
    assert_string_equal(err.msg, "disk full");
    assert_int_equal(hakt_shm_slots(f->shm)[0].tail, f->next[0]);
    hakt_collect_get_stats(f->c, &st);
    assert_int_equal(st.records, 3); /* with the thread's start */
    assert_int_equal(st.discarded, 97);
}

static void a_record_that_no_library_writes(void **state) {
    struct fixture *f = *state;
    put(f, 0, 77, 0x100, 1, 1);
    settle(f);
    assert_int_equal(hakt_collect_failed(f->c, NULL), HAKC_ECORRUPT);
}

/* A record without a stamp. */
static void put_unstamped(struct fixture *f, int ring, unsigned op, uint64_t ptr) {
    struct hakt_shm_rec rec = {.ptr = ptr, .size = op == HAKT_SHM_FREE ? 0 : 8, .op = (uint8_t)op};
    f->next[ring] += commit_any(f, ring, f->next[ring], &rec);
}

/* Leaves one thread, as if there had never been another. */
static void alone(struct fixture *f) {
    hakt_collect_round(f->c, NULL);
    hakt_collect_reap(f->c, getpid());
    attach(f, 0, 1000000000u);
    f->shm->attach_seq = 1;
    f->shm->burst = 1000;
}

static void spreads_what_is_not_stamped(void **state) {
    struct fixture *f = *state;
    alone(f);
    put(f, 0, HAKT_SHM_MALLOC, 0x100, 8, 1000);
    for (unsigned i = 1; i <= 3; i++)
        put_unstamped(f, 0, HAKT_SHM_MALLOC, 0x100 + 16 * i);
    put(f, 0, HAKT_SHM_MALLOC, 0x200, 8, 1400);
    put_unstamped(f, 0, HAKT_SHM_FREE, 0x200);
    /* a pause: the ops before it follow the last stamp, they are not spread over it */
    put(f, 0, HAKT_SHM_MALLOC, 0x300, 8, 901400);
    put_unstamped(f, 0, HAKT_SHM_FREE, 0x300); /* no stamp behind it yet */
    usleep(1000);
    hakt_collect_round(f->c, NULL);
    static const uint64_t times[] = {1000, 1100, 1200, 1300, 1400, 1450, 901400, 901450};
    assert_int_equal(ops(f), 8);
    for (size_t i = 0; i < 8; i++)
        assert_int_equal(op(f, i)->time, times[i]);
}

/* The second thread was started after the first one's unstamped ops: they stay before its own. */
static void does_not_spread_beside_others(void **state) {
    struct fixture *f = *state;
    f->shm->burst = 1000;
    put(f, 0, HAKT_SHM_MALLOC, 0x100, 8, 1000);
    put_unstamped(f, 0, HAKT_SHM_FREE, 0x100);
    put_unstamped(f, 0, HAKT_SHM_MALLOC, 0x100);
    put(f, 0, HAKT_SHM_MALLOC, 0x200, 8, 1900);
    put(f, 1, HAKT_SHM_FREE, 0x100, 0, 1200);
    settle(f);
    assert_op(f, 0, HAKT_MALLOC, 1, 0, 0);
    assert_op(f, 1, HAKT_FREE, 0, 1, 0);
    assert_op(f, 2, HAKT_MALLOC, 2, 0, 0);
    assert_op(f, 3, HAKT_FREE, 0, 2, 0);
    assert_op(f, 4, HAKT_MALLOC, 3, 0, 0);
}

/* What does not fit into one word. */
static void every_form_of_a_record(void **state) {
    static const uint64_t ptrs[] = {8, 16, 0x7ffffffffff8, 0x800000000000, 0x101, 0xffffffffffffff};
    static const uint64_t sizes[] = {0, 1, 8191, 8192, (1ull << 63) - 1, 1ull << 63, UINT64_MAX};
    struct fixture *f = *state;
    size_t n = 0;
    for (size_t p = 0; p < sizeof(ptrs) / sizeof(*ptrs); p++) {
        for (size_t k = 0; k < 2 * sizeof(sizes) / sizeof(*sizes); k++) {
            struct hakt_shm_rec rec = {.time = f->clock.raw0 + 10 * n,
                                       .ptr = ptrs[p],
                                       .size = sizes[k / 2],
                                       .op = k % 3 == 2 ? HAKT_SHM_MEMALIGN : HAKT_SHM_MALLOC,
                                       .align_log2 = k % 3 == 2 ? 12 : 0,
                                       .stamped = k % 2 == 0};
            struct hakt_shm_rec gone = {.ptr = ptrs[p], .op = HAKT_SHM_FREE};
            f->next[0] += commit_any(f, 0, f->next[0], &rec);
            f->next[0] += commit_any(f, 0, f->next[0], &gone);
            hakt_collect_set_busy(f->c, k % 4 == 1); /* out of the ring, or by the backlog */
            hakt_collect_round(f->c, NULL);
            hakt_collect_set_busy(f->c, 0);
            hakt_collect_catch_up(f->c);
            assert_int_equal(ops(f), 2 * n + 2);
            assert_op(f, 2 * n, rec.op == HAKT_SHM_MALLOC ? HAKT_MALLOC : HAKT_MEMALIGN, n + 1, 0,
                      0);
            assert_true(op(f, 2 * n)->size == rec.size);
            assert_int_equal(op(f, 2 * n)->align_log2, rec.align_log2);
            assert_op(f, 2 * n + 1, HAKT_FREE, 0, n + 1, 0);
            n++;
        }
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(merges_by_time, setup, teardown),
        cmocka_unit_test_setup_teardown(spreads_what_is_not_stamped, setup, teardown),
        cmocka_unit_test_setup_teardown(does_not_spread_beside_others, setup, teardown),
        cmocka_unit_test_setup_teardown(a_record_waits_for_its_cause, setup, teardown),
        cmocka_unit_test_setup_teardown(a_cause_may_come_a_round_later, setup, teardown),
        cmocka_unit_test_setup_teardown(causes_that_are_nowhere, setup, teardown),
        cmocka_unit_test_setup_teardown(reallocs, setup, teardown),
        cmocka_unit_test_setup_teardown(a_handler_reallocs_inside_a_realloc, setup, teardown),
        cmocka_unit_test_setup_teardown(killed_in_a_realloc, setup, teardown),
        cmocka_unit_test_setup_teardown(nothing_behind_an_uncommitted_record, setup, teardown),
        cmocka_unit_test_setup_teardown(a_ring_stuck_behind_a_hole, setup, teardown),
        cmocka_unit_test_setup_teardown(laps, setup, teardown),
        cmocka_unit_test_setup_teardown(dead_threads_give_their_rings_back, setup, teardown),
        cmocka_unit_test_setup_teardown(a_full_disk_does_not_stop_the_program, setup, teardown),
        cmocka_unit_test_setup_teardown(a_record_that_no_library_writes, setup, teardown),
        cmocka_unit_test_setup_teardown(every_form_of_a_record, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
