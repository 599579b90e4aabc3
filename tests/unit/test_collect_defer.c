/* The collector while the processors are busy: what it puts off, and what ends that. */
#include "tests/unit/collect_fixture.h"

static uint64_t taken(const struct fixture *f) {
    struct hakt_collect_stats st;
    hakt_collect_get_stats(f->c, &st);
    return st.taken;
}

/* A malloc that a round puts off. */
static void put_one_off(struct fixture *f) {
    hakt_collect_set_busy(f->c, 1);
    put(f, 0, HAKT_SHM_MALLOC, 0x100, 1, 1);
    usleep(1000);
    hakt_collect_round(f->c, NULL);
    assert_int_equal(ops(f), 0);
}

static void puts_off_while_the_processors_are_busy(void **state) {
    struct fixture *f = *state;
    hakt_collect_set_busy(f->c, 1);
    put(f, 0, HAKT_SHM_MALLOC, 0x100, 1, 1);
    put(f, 1, HAKT_SHM_FREE, 0x100, 0, 2);
    put(f, 1, HAKT_SHM_MALLOC, 0x100, 3, 3);
    put(f, 0, HAKT_SHM_REALLOC_BEGIN, 0x100, 10, 4);
    settle(f);
    assert_int_equal(ops(f), 0);
    assert_int_equal(taken(f), 3); /* status tells of them all the same */
    assert_int_equal(hakt_shm_slots(f->shm)[1].tail, f->next[1]);
    hakt_collect_reap(f->c, getpid()); /* a dead thread's records are not forgotten */
    put(f, 0, HAKT_SHM_REALLOC_END, 0x200, 0x100, 5);
    hakt_collect_round(f->c, NULL);
    assert_int_equal(taken(f), 4);
    hakt_collect_set_busy(f->c, 0);
    settle(f);
    assert_int_equal(ops(f), 4);
    assert_op(f, 1, HAKT_FREE, 0, 1, 0);
    assert_op(f, 3, HAKT_REALLOC, 3, 2, 0);
}

static void catches_up_at_once(void **state) {
    struct fixture *f = *state;
    put_one_off(f);
    put(f, 1, HAKT_SHM_FREE, 0x100, 0, 2);
    usleep(1000);
    hakt_collect_catch_up(f->c);
    assert_int_equal(ops(f), 2);
}

/* Each is held until nobody can have brought its cause. */
static void catches_up_past_foreign_frees(void **state) {
    struct fixture *f = *state;
    hakt_collect_set_busy(f->c, 1);
    for (uint64_t i = 0; i < 50; i++) {
        put(f, 0, HAKT_SHM_FREE, 0x100 + i, 0, 2 * i + 1);
        put(f, 0, HAKT_SHM_MALLOC, 0x100 + i, 1, 2 * i + 2);
    }
    usleep(1000);
    hakt_collect_round(f->c, NULL);
    assert_int_equal(ops(f), 0);
    hakt_collect_catch_up(f->c);
    assert_int_equal(ops(f), 100);
}

static void does_not_put_off_for_ever(void **state) {
    struct fixture *f = *state;
    put_one_off(f);
    for (int tenths = 0; tenths < 60; tenths++) {
        hakt_collect_round(f->c, NULL);
        usleep(100000);
    }
    assert_int_equal(ops(f), 1);
}

static void does_not_put_off_who_wants_a_slot(void **state) {
    struct fixture *f = *state;
    put_one_off(f);
    f->shm->want_slot = 1;
    hakt_collect_reap(f->c, getpid());
    hakt_collect_round(f->c, NULL);
    assert_int_equal(ops(f), 1);
    hakt_collect_reap(f->c, getpid());
    assert_int_equal(hakt_shm_slots(f->shm)[0].state, HAKT_SLOT_FREE);
}

/* A backlog without room: a segment for each ring, and no more. */
static void handles_what_the_backlog_cannot_hold(void **state) {
    struct fixture *f = *state;
    struct hakt_collect_stats st;
    uint64_t made = 0;
    hakt_collect_close(f->c);
    struct hakt_collect_sink sink = {.put = take, .ctx = f};
    assert_int_equal(hakt_collect_open(&f->c, f->shm, &f->clock, sink, 0, NULL), 0);
    hakt_collect_set_busy(f->c, 1);
    while (ops(f) == 0) {
        for (int i = 0; i < 100; i++, made++)
            put(f, 0, made % 2 == 0 ? HAKT_SHM_MALLOC : HAKT_SHM_FREE, 0x100, 0, made);
        usleep(100);
        hakt_collect_round(f->c, NULL);
        assert_true(made < 4000);
    }
    assert_true(made > 1000);
    settle(f);
    assert_int_equal(ops(f), made);
    hakt_collect_get_stats(f->c, &st);
    assert_true(st.backlog_peak <= 32u << 10);
    assert_int_equal(st.foreign + st.implied + st.dropped, 0);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(puts_off_while_the_processors_are_busy, setup, teardown),
        cmocka_unit_test_setup_teardown(catches_up_at_once, setup, teardown),
        cmocka_unit_test_setup_teardown(catches_up_past_foreign_frees, setup, teardown),
        cmocka_unit_test_setup_teardown(does_not_put_off_for_ever, setup, teardown),
        cmocka_unit_test_setup_teardown(does_not_put_off_who_wants_a_slot, setup, teardown),
        cmocka_unit_test_setup_teardown(handles_what_the_backlog_cannot_hold, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
